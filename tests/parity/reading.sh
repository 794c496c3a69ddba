# What is read: made once a namespace with hidden steps (@), then looked at in every form.
@ kubectl create deployment web --image=nginx:1.25 --replicas=2
@ kubectl expose deployment web --port=80
@ kubectl create configmap settings --from-literal=color=blue --from-literal=size=5
@ kubectl create secret generic keys --from-literal=user=me
@ kubectl wait --for=condition=Available deployment/web --timeout=60s
@ kubectl apply -f - <<Y
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny, labels: {a: b}}, spec: {podSelector: {}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: guard}, spec: {podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [b, a]}]}, ingress: [{ports: [{port: 80}, {port: http, protocol: UDP}, {port: 90, endPort: 99}, {}], from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {role: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}}]}, {from: [{namespaceSelector: {}}]}], egress: [{}, {to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 53, protocol: UDP}]}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: out}, spec: {podSelector: {}, policyTypes: [Egress]}}
Y
kubectl get pods
kubectl get pods -o wide
kubectl get pods -o name
kubectl get deployments,services
kubectl get all
kubectl get deploy web -o yaml
kubectl get pods -o json
kubectl get pods --show-labels
kubectl get pods -L app
kubectl get pods -l app=web --no-headers
kubectl get pods -l 'app notin (web)'
kubectl get pods --field-selector=status.phase=Running
kubectl get pods --sort-by=.metadata.name -o custom-columns=N:.metadata.name,I:.spec.containers[*].image
kubectl get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\t"}{.status.phase}{"\n"}{end}'
kubectl get pods -o go-template='{{range .items}}{{.metadata.name}}{{"\n"}}{{end}}'
kubectl get cm settings -o yaml
kubectl get secret keys -o jsonpath='{.data.user}'
kubectl get svc web -o wide
kubectl get endpointslices
kubectl get nodes
kubectl get ns default
kubectl describe deployment web
kubectl describe pods -l app=web
kubectl describe service web
kubectl describe cm settings
kubectl describe secret keys
kubectl describe node minikube
kubectl describe ns default
kubectl get networkpolicies
kubectl get netpol guard -o wide --show-labels
kubectl get networkpolicy guard -o yaml
kubectl get netpol -o name
kubectl describe networkpolicy guard
kubectl describe netpol deny
kubectl describe netpol out
kubectl describe netpol nosuch
kubectl api-resources --api-group=networking.k8s.io
kubectl explain deployment.spec.strategy
kubectl explain pod.spec.containers --recursive
kubectl api-resources --api-group=apps
kubectl api-versions
kubectl config view --minify -o jsonpath='{.contexts[0].context.namespace}'
kubectl rollout status deployment/web
kubectl rollout history deployment/web
kubectl get events --field-selector reason=ScalingReplicaSet -o custom-columns=R:.reason,M:.message
