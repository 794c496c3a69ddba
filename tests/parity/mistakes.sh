# What goes wrong, in the real kubectl's own words.
kubectl ge pods
kubectl gett pods
kubectl statis
kubectl get podz
kubectl get pod nope
kubectl get pods nope nada
kubectl get pods --wide
kubectl get pods -o wide2
kubectl get
kubectl delete pod nope
kubectl delete pod
kubectl create
kubectl create -f missing.yaml
kubectl create deployment
kubectl create deployment Bad_Name --image=nginx
kubectl apply
kubectl run
kubectl run web
kubectl scale deployment nope --replicas=1
kubectl scale deployment nope
kubectl expose deployment nope --port=80
kubectl label pod nope a=b
kubectl set image deployment/nope a=b
kubectl rollout status deployment/nope
kubectl logs
kubectl exec
kubectl describe pod nope
kubectl explain nosuch
kubectl explain pod.nosuch
kubectl get pods -l 'a in b'
kubectl get pods --field-selector=nosuch=1
kubectl get pods -o jsonpath='{.items[}'
kubectl get pods -o go-template='{{.x'
kubectl -n missing get pods
kubectl -n missing create configmap a
cat > broken.yaml <<'E1'
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
   labels: b
E1
kubectl apply -f broken.yaml
cat > unknown.yaml <<'E1'
apiVersion: v1
kind: Pod
metadata:
  name: a
spec:
  contaners:
  - name: a
E1
kubectl apply -f unknown.yaml
kubectl create -f unknown.yaml --validate=false
cat > version.yaml <<'E1'
apiVersion: extensions/v1beta1
kind: Deployment
metadata:
  name: a
E1
kubectl apply -f version.yaml
kubectl wait --for=condition=Ready pod/nope --timeout=1s
kubectl cordon nope
kubectl config use-context nope
kubectl config get-contexts nope
kubectl create deployment target --image=nginx
kubectl patch deployment target -p '{'
kubectl patch deployment target -p '{a: b}'
kubectl patch deployment target -p 'a: ['
kubectl patch deployment target --type=json -p x
kubectl patch deployment target --type=merge -p '{"spec":{"replicas":-1}}'
kubectl patch deployment nope -p '{'
kubectl patch deployment target
kubectl patch deployment target --type=nosuch -p '{}'
kubectl set image deployment/nope a=b --record
kubectl top pods
kubectl top nodes
kubectl top pod a b
kubectl apply -f - <<Y
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: wrong}, spec: {podSelector: {}, policyTypes: [Both], ingress: [{from: [{}], ports: [{port: 0}, {port: 9, endPort: 8}]}]}}
Y
kubectl apply -f - <<Y
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: wrong}, spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.1/8, except: [11.0.0.0/16]}}]}]}}
Y
