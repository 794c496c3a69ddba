# Files against objects: apply, diff, edit, and commands that are recorded.
cat > web.yaml <<'E1'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {tier: front}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx:1.25
E1
kubectl diff -f web.yaml > new.diff; echo "code $?"; grep -c '^+' new.diff
kubectl apply -f web.yaml --dry-run=client
kubectl apply -f web.yaml --dry-run=server
kubectl apply -f web.yaml
kubectl apply -f web.yaml
kubectl diff -f web.yaml; echo "code $?"
kubectl apply -f web.yaml -o yaml | grep -v uid
kubectl apply view-last-applied deployment web
@ sed -i 's/1.25/1.26/; s/tier: front/tier: back/' web.yaml; kubectl wait --for=condition=Available deployment/web --timeout=60s
kubectl diff -f web.yaml | sed -E 's/(LIVE|MERGED)-[0-9]+/\1/g' | grep -v generation
kubectl diff -f web.yaml --server-side --force-conflicts | sed -E 's/(LIVE|MERGED)-[0-9]+/\1/g' | grep -v generation
KUBECTL_EXTERNAL_DIFF='diff -N' kubectl diff -f web.yaml | sed -E 's/(LIVE|MERGED)-[0-9]+/\1/g' | grep -v generation
KUBECTL_EXTERNAL_DIFF=nosuchdiff kubectl diff -f web.yaml; echo "code $?"
kubectl diff
kubectl diff web
kubectl diff -f nope.yaml
kubectl diff --nosuch
kubectl diff -f web.yaml --force-conflicts
kubectl apply -f web.yaml
kubectl get deployment web -o jsonpath='{.metadata.labels} {.spec.template.spec.containers[0].image}'
kubectl scale deployment web --replicas=2
kubectl apply -f web.yaml -o name
sed 's/1.26/1.27/' web.yaml | kubectl apply -f -
sed 's/app: web}/app: other}/' web.yaml | kubectl apply -f - 2>&1 | sed 's/ map.*//'
sed 's/replicas: 1/replicas: many/' web.yaml | kubectl apply -f - 2>&1 | head -1
kubectl apply -f web.yaml -f nope.yaml
kubectl create configmap plain --from-literal=a=b
kubectl create configmap plain --from-literal=a=c --dry-run=client -o yaml | kubectl apply -f -
kubectl create secret generic hidden --from-literal=a=b
kubectl create secret generic hidden --from-literal=a=c --dry-run=client -o yaml | kubectl diff -f - | sed -E 's/(LIVE|MERGED)-[0-9]+/\1/g'
kubectl apply -f web.yaml --server-side
KUBE_EDITOR="sed -i 's/a: c/a: d/'" kubectl edit cm plain
KUBE_EDITOR="sed -i 's/a: d/a: e/'" kubectl edit cm/plain -o json
KUBE_EDITOR="sed -i 's/\"a\": \"d\"/\"a\": \"e\"/'" kubectl edit cm/plain -o json
kubectl get cm plain -o jsonpath='{.data}'
KUBE_EDITOR=true kubectl edit cm plain
KUBE_EDITOR="truncate -s 0" kubectl edit cm plain
KUBE_EDITOR=false kubectl edit cm plain
KUBE_EDITOR=/no/such/editor kubectl edit cm plain
kubectl edit cm nope
KUBE_EDITOR="sed -i 's/a: e/a: f/'" kubectl edit cm plain --output-patch
KUBE_EDITOR="sed -i 's/replicas: .*/replicas: -1/'" kubectl edit deployment web > edit.log 2>&1; echo "code $?"; cat edit.log; f=$(grep -o '/tmp/kubectl-edit-[0-9]*.yaml' edit.log | tail -1); grep '^#' "$f"; rm -f "$f"
KUBE_EDITOR="sed -i 's/^kind:.*/kind: [/'" kubectl edit cm plain > edit.log 2>&1; echo "code $?"; cat edit.log; f=$(grep -o '/tmp/kubectl-edit-[0-9]*.yaml' edit.log | tail -1); grep '^#' "$f"; rm -f "$f"
KUBE_EDITOR="sed -i 's/^  name: plain/  name: other/'" kubectl edit cm plain > edit.log 2>&1; echo "code $?"; cat edit.log; f=$(grep -o '/tmp/kubectl-edit-[0-9]*.yaml' edit.log | tail -1); grep '^#' "$f"; rm -f "$f"
kubectl set image deployment/web nginx=nginx:1.28 --record
kubectl rollout status deployment/web --timeout=60s | tail -1
kubectl rollout history deployment/web
kubectl --record=true scale deployment web --replicas=3
kubectl annotate deployment web note=a --record
kubectl label deployment web note=a --record=false
kubectl patch deployment web --record -p '{"spec":{"replicas":1}}'
kubectl run recorded --image=busybox --record --dry-run=client -o yaml -- sleep 5
kubectl expose deployment web --port=80 --record --dry-run=client -o yaml
kubectl get deployment web -o jsonpath='{.metadata.annotations.kubernetes\.io/change-cause}'
