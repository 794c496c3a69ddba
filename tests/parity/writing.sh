# What is written, and what is said about it.
kubectl create deployment web --image=nginx:1.25
kubectl create deployment web --image=nginx:1.25
kubectl create deployment shop --image=httpd --replicas=3 --port=80 --dry-run=client -o yaml
kubectl run box --image=busybox --restart=Never --env=A=b --labels=x=y --dry-run=client -o yaml -- sleep 5
kubectl create service nodeport np --tcp=80:8080 --dry-run=client -o yaml
kubectl scale deployment web --replicas=3
kubectl rollout status deployment/web --timeout=60s | tail -1
kubectl set image deployment/web nginx=nginx:1.27
kubectl rollout status deployment/web --timeout=60s | tail -1
kubectl rollout history deployment/web
kubectl rollout undo deployment/web
kubectl rollout pause deployment/web
kubectl rollout resume deployment/web
kubectl rollout restart deployment/web
kubectl label deployment web tier=front
kubectl label deployment web tier=front
kubectl label deployment web tier=back
kubectl label deployment web tier=back --overwrite
kubectl annotate deployment web note='a b'
kubectl annotate deployment web note-
kubectl expose deployment web --port=80 --name=web-svc
kubectl patch deployment web -p '{"spec":{"replicas":1}}'
kubectl patch deployment web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'
kubectl patch deployment web --type=merge -p '{"metadata":{"labels":{"a":"b"}}}'
cat > cm.yaml <<'E1'
apiVersion: v1
kind: ConfigMap
metadata:
  name: applied
data:
  a: "1"
  b: "2"
E1
kubectl apply -f cm.yaml
kubectl apply -f cm.yaml
sed -i 's/"2"/"3"/' cm.yaml && kubectl apply -f cm.yaml
sed -i '/  a:/d' cm.yaml && kubectl apply -f cm.yaml && kubectl get cm applied -o jsonpath='{.data}'
kubectl apply -f cm.yaml --server-side
kubectl apply -f cm.yaml --server-side --field-manager=other
KUBE_EDITOR="sed -i '/^  b:/s/3/4/'" kubectl edit cm applied
KUBE_EDITOR=true kubectl edit cm applied
kubectl get cm applied -o jsonpath='{.data.b}'
kubectl replace -f cm.yaml
kubectl create configmap c1 --from-literal=a=b
kubectl create secret generic s1 --from-literal=a=b
kubectl create serviceaccount robot
kubectl delete cm c1
kubectl delete secret,sa s1 robot --ignore-not-found
kubectl delete deployment web --now
kubectl delete -f cm.yaml
kubectl delete pods --all
kubectl wait --for=delete pods --all --timeout=60s
