# Files into containers and out of them. Where tar talks, what it says may be lost at the real kubectl's end: it goes to /dev/null.
@ kubectl run boot --image=gcr.io/google-samples/kubernetes-bootcamp:v1
@ kubectl run box --image=busybox -- sleep 3600
@ kubectl run empty --image=registry.k8s.io/pause:3.10
@ kubectl wait --for=condition=Ready pod/boot pod/box pod/empty --timeout=60s
@ mkdir -p d/deep/er d/hollow && echo one > d/one.txt && echo two > d/deep/er/two.txt && ln -s one.txt d/link && head -c 300000 /dev/zero | tr '\0' x > d/big
kubectl cp d box:/tmp/d; kubectl exec box -- find /tmp/d
kubectl cp d boot:tmp/d; kubectl exec boot -- cat /tmp/d/deep/er/two.txt
kubectl cp d/one.txt box:/tmp; kubectl exec box -- cat /tmp/one.txt
kubectl cp ./d/one.txt box:/tmp/other.txt -c box; kubectl exec box -- cat /tmp/other.txt
kubectl cp d/one.txt box:/tmp/plain.txt --no-preserve; kubectl exec box -- cat /tmp/plain.txt
cd d && kubectl cp . box:/tmp/dot && kubectl exec box -- find /tmp/dot
kubectl cp d/deep/ box:/tmp/new/; kubectl exec box -- ls /tmp/new
kubectl cp "$PWD/d/one.txt" box:absolute.txt; kubectl exec box -- cat /absolute.txt
kubectl exec box -- wc -c /tmp/d/big
kubectl cp box:tmp/d back; find back | sort; cat back/deep/er/two.txt
kubectl cp box:/tmp/d back2 > /dev/null; find back2 | sort; wc -c back2/big
kubectl cp boot:tmp/d back3; find back3 | sort
kubectl cp box:tmp/d/one.txt ./one.txt; cat one.txt
kubectl cp box:tmp/d/one.txt new/directory/one.txt; cat new/directory/one.txt
kubectl cp box:tmp/d/one.txt .
kubectl cp box:tmp/d/one.txt back/one.txt/x
kubectl cp box:tmp/d/../d/./one.txt dots.txt > /dev/null
kubectl cp box:tmp//d/one.txt slashes.txt; cat slashes.txt
kubectl cp --retries=3 box:tmp/d/one.txt again.txt; cat again.txt
kubectl cp "$(kubectl config view --minify -o jsonpath='{.contexts[0].context.namespace}')/box:tmp/d/one.txt" named.txt; cat named.txt
kubectl cp
kubectl cp d
kubectl cp d e f
kubectl cp d e
kubectl cp box:/a boot:/b
kubectl cp :a b
kubectl cp a/b/c:d e
kubectl cp box: b
kubectl cp nope box:/tmp
kubectl cp d nope:/tmp
kubectl cp nope:/tmp d
kubectl cp nope/box:/tmp d
kubectl cp d box:/tmp -c nope
kubectl cp box:/tmp d -c nope
kubectl cp d/one.txt box:/no/such/place
kubectl cp d/one.txt boot:/no/such/place
# The real one may complain in its log that the connection it writes to is closed already.
kubectl cp d/one.txt empty:/tmp/x 2>&1 | grep -v 'Unhandled Error'
kubectl cp empty:/tmp/x here
kubectl cp --retries=x box:/a b
