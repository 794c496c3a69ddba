# What the fields of kinds are.
kubectl explain pods
kubectl explain pod.spec
kubectl explain pod.spec.containers.resources
kubectl explain pods.metadata.labels
kubectl explain pod --recursive
kubectl explain deployment.spec --recursive
kubectl explain deploy.spec.strategy.rollingUpdate.maxSurge
kubectl explain svc.spec.ports
kubectl explain cm
kubectl explain secret.data
kubectl explain nodes.status.conditions
kubectl explain ns --api-version=v1
kubectl explain deployment --api-version=apps/v1
kubectl explain deployment --api-version=apps/v2
kubectl explain events
kubectl explain events --api-version=events.k8s.io/v1
kubectl explain rs.spec.template.spec.containers.livenessProbe.httpGet
kubectl explain pod.spec --output=plaintext-openapiv2
kubectl explain pod.spec.containers.name --output=plaintext-openapiv2
kubectl explain
kubectl explain a b
kubectl explain netpol
kubectl explain networkpolicy.spec --recursive
kubectl explain netpol.spec.ingress.from.ipBlock
kubectl explain netpol.spec.ingress.ports.port
kubectl explain nosuch
kubectl explain nosuch.spec
kubectl explain pod.nosuch
kubectl explain pod.spec.containers.nosuch.deeper
kubectl explain pod.spec.nodeName.deeper
kubectl explain pod --output=nosuch
