# What streams: logs, exec, attach, port-forward, watches.
@ kubectl run boot --image=gcr.io/google-samples/kubernetes-bootcamp:v1 --port=8080
@ kubectl wait --for=condition=Ready pod/boot --timeout=60s
kubectl logs boot --tail=1
kubectl exec boot -- hostname
kubectl exec boot -- sh -c 'echo out; echo err >&2; exit 3'
echo hello | kubectl exec -i boot -- cat
kubectl exec boot -- nosuch
kubectl exec boot -c nope -- ls
kubectl exec boot
kubectl logs boot -c nope
kubectl logs nope
kubectl port-forward pod/boot 0:8080 > forward.log 2>&1 & for i in $(seq 50); do grep -q Forwarding forward.log 2>/dev/null && break; sleep 0.1; done; port=$(sed -nE 's/.*127.0.0.1:([0-9]+).*/\1/p' forward.log | head -1); curl -s "http://127.0.0.1:$port/"; kill %1
timeout 5 kubectl get pod boot -w --no-headers
timeout 5 kubectl logs -f boot --tail=1
kubectl get --raw /healthz
kubectl get --raw /api/v1/namespaces/default | head -c 30
