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
# A real terminal: script's. The function has to reach its shell.
{ sleep 1; echo 'echo hello $((1+1))'; sleep 1; echo 'exit 3'; sleep 1; } | SHELL=/bin/bash script -qc 'kubectl exec -it boot -- bash; echo code $?' /dev/null
{ sleep 1; echo 'read -r x; echo got $x'; sleep 1; echo tea; sleep 1; printf '\004'; sleep 1; } | SHELL=/bin/bash script -qc 'kubectl exec -it boot -c boot -- sh; echo code $?' /dev/null
SHELL=/bin/bash script -qc 'kubectl exec -t boot -- hostname' /dev/null < /dev/null
kubectl exec -it boot -- hostname
echo piped | kubectl exec -it boot -- cat
@ kubectl run ticker --image=busybox --restart=Never -- sh -c 'sleep 2; for i in 1 2 3; do echo tick $i; sleep 1; done'
@ kubectl wait --for=condition=Ready pod/ticker --timeout=60s
kubectl logs -f ticker
kubectl logs -f ticker --tail=1
(sleep 1; kubectl label pod boot seen=yes > /dev/null; sleep 1; kubectl label pod boot seen- > /dev/null) & timeout 4 kubectl get pod boot -w -L seen; wait
(sleep 1; kubectl label pod boot seen=yes > /dev/null; sleep 1; kubectl label pod boot seen- > /dev/null) & timeout 4 kubectl get pod boot -w --output-watch-events -o custom-columns=N:.metadata.name,S:.metadata.labels.seen; wait
kubectl get pods nope -w
@ kubectl expose pod boot --port=80 --target-port=8080
kubectl port-forward service/boot 0:80 > forward.log 2>&1 & for i in $(seq 50); do grep -q Forwarding forward.log 2>/dev/null && break; sleep 0.1; done; port=$(sed -nE 's/.*127.0.0.1:([0-9]+).*/\1/p' forward.log | head -1); curl -s "http://127.0.0.1:$port/"; kill %1; sed -E 's/:[0-9]+ ->/:PORT ->/; s/for [0-9]+/for PORT/' forward.log | sort -u
kubectl port-forward pod/boot nosuch
kubectl port-forward pod/nope 0:80
kubectl port-forward pod/boot
kubectl port-forward service/boot 0:81
