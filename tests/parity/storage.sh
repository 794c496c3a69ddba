# Volumes, claims and classes: what belongs to no namespace has the namespace's name in its own.
kubectl get sc standard
kubectl get sc standard -o yaml
kubectl describe sc standard
cat <<F | kubectl apply -f -
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: late-$(basename $PWD)
provisioner: k8s.io/minikube-hostpath
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
reclaimPolicy: Retain
mountOptions: [discard, noatime]
parameters:
  tier: ssd
allowedTopologies:
- matchLabelExpressions:
  - key: kubernetes.io/hostname
    values: [minikube, minikube-m02]
  - key: kubernetes.io/os
    values: [linux]
F
kubectl get sc late-$(basename $PWD)
kubectl describe sc late-$(basename $PWD)
kubectl patch sc late-$(basename $PWD) -p '{"provisioner":"other.example.test"}'
cat <<F | kubectl apply -f -
apiVersion: v1
kind: PersistentVolume
metadata:
  name: shelf-$(basename $PWD)
  labels:
    kind: shelf
    place: $(basename $PWD)
spec:
  storageClassName: manual-$(basename $PWD)
  capacity:
    storage: 10Gi
  accessModes: [ReadWriteOnce, ReadOnlyMany]
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - key: kubernetes.io/os
          operator: In
          values: [linux]
        - key: gpu
          operator: DoesNotExist
  hostPath:
    path: /mnt/shelf
    type: DirectoryOrCreate
F
@ kubectl wait --for=jsonpath='{.status.phase}'=Available pv/shelf-$(basename $PWD) --timeout=20s
kubectl get pv -l place=$(basename $PWD)
kubectl get pv -l place=$(basename $PWD) -o wide
kubectl describe pv shelf-$(basename $PWD)
cat <<F | kubectl apply -f -
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: books
spec:
  storageClassName: manual-$(basename $PWD)
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 3Gi
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: dynamic
  labels:
    app: web
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: later
spec:
  storageClassName: late-$(basename $PWD)
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: lost
spec:
  storageClassName: nowhere
  accessModes: [ReadWriteMany]
  resources:
    requests:
      storage: 1Gi
F
@ kubectl wait --for=jsonpath='{.status.phase}'=Bound pvc/books pvc/dynamic --timeout=20s
kubectl get pvc
kubectl get pvc -o wide
kubectl get pvc,pods
kubectl describe pvc books
kubectl describe pvc dynamic | sed 's/minikube_[0-9a-f-]*/minikube_UID/'
kubectl describe pvc later
kubectl describe pvc lost
kubectl get pvc dynamic -o jsonpath='{.spec.storageClassName} {.status.phase}{"\n"}'
kubectl describe pv $(kubectl get pvc dynamic -o jsonpath='{.spec.volumeName}')
kubectl get pv $(kubectl get pvc dynamic -o jsonpath='{.spec.volumeName}') -o yaml
cat <<F | kubectl apply -f -
apiVersion: v1
kind: Pod
metadata:
  name: reader
spec:
  terminationGracePeriodSeconds: 1
  volumes:
  - name: data
    persistentVolumeClaim:
      claimName: dynamic
  - name: more
    persistentVolumeClaim:
      claimName: later
      readOnly: true
  - name: scratch
    ephemeral:
      volumeClaimTemplate:
        metadata:
          labels:
            app: web
        spec:
          accessModes: [ReadWriteOnce]
          resources:
            requests:
              storage: 1Gi
  containers:
  - name: app
    image: nginx:1.25
    volumeMounts:
    - name: data
      mountPath: /data
    - name: more
      mountPath: /more
    - name: scratch
      mountPath: /scratch
F
@ kubectl wait --for=condition=Ready pod/reader --timeout=60s
kubectl get pvc
kubectl exec reader -- sh -c 'echo page > /data/one; cat /data/one'
kubectl exec reader -- touch /more/x
kubectl describe pod reader | sed -n '/^Volumes/,/^QoS/p'
kubectl describe pvc dynamic | grep 'Used By'
kubectl describe pvc reader-scratch | grep -v From | grep -v minikube
kubectl describe pvc later | sed -n '/^Annotations/,/^Finalizers/p'
kubectl delete pvc dynamic --wait=false
kubectl get pvc dynamic
kubectl describe pvc dynamic | grep Status
kubectl delete pod reader
kubectl get pvc
kubectl patch pvc books -p '{"spec":{"resources":{"requests":{"storage":"4Gi"}}}}'
kubectl patch pvc books -p '{"spec":{"storageClassName":"fast"}}'
kubectl patch pv shelf-$(basename $PWD) -p '{"spec":{"hostPath":{"path":"/mnt/other"}}}'
kubectl delete pvc books
@ kubectl wait --for=jsonpath='{.status.phase}'=Released pv/shelf-$(basename $PWD) --timeout=20s
kubectl get pv -l place=$(basename $PWD)
kubectl delete pv shelf-$(basename $PWD)
kubectl explain pvc.spec.accessModes
kubectl explain sc.volumeBindingMode
kubectl explain pv.spec.persistentVolumeReclaimPolicy
kubectl get pv nope
kubectl describe sc nope
kubectl delete pvc --all
kubectl delete sc late-$(basename $PWD)
