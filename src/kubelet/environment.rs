//! The environment of a container: its variables, where their values come from, and the Services' own.
//!
//! Pure but for the ConfigMaps and Secrets, which a [`Lookup`] gives.
// Models pkg/kubelet (makeEnvironmentVariables) and pkg/kubelet/envvars.

use std::collections::BTreeMap;

use async_trait::async_trait;
use indexmap::IndexMap;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret, Service};

use super::expansion::expand;
use super::fields::{self, PodFacts};
use super::spec;

/// Gives ConfigMaps and Secrets as they are now; `None`: there is none of that name.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, String>;
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, String>;
}

/// The variables of a container in the order of their declaration, then those of Services. The error is the words of
/// `CreateContainerConfigError`.
pub(super) async fn variables(
    pod: &Pod,
    container: &Container,
    facts: &PodFacts,
    services: &BTreeMap<String, String>,
    lookup: &dyn Lookup,
) -> Result<Vec<(String, String)>, String> {
    let mut own: IndexMap<String, String> = IndexMap::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let values = if let Some(reference) = &source.config_map_ref {
            config_map_values(pod, &reference.name, reference.optional, lookup).await?
        } else if let Some(reference) = &source.secret_ref {
            secret_values(pod, &reference.name, reference.optional, lookup).await?
        } else {
            None
        };
        own.extend(
            values.unwrap_or_default().into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)),
        );
    }
    for variable in container.env.iter().flatten() {
        let value = match (variable.value.as_deref().unwrap_or_default(), &variable.value_from) {
            ("", Some(source)) => match value_from(pod, container, source, facts, lookup).await? {
                Some(value) => value,
                // An optional key that is not there.
                None => continue,
            },
            (text, _) => expand(text, |name| own.get(name).or_else(|| services.get(name)).cloned()),
        };
        own.insert(variable.name.clone(), value);
    }
    let others =
        services.iter().filter(|(name, _)| !own.contains_key(*name)).map(|(n, v)| (n.clone(), v.clone()));
    let others: Vec<_> = others.collect();
    Ok(own.into_iter().chain(others).collect())
}

async fn config_map_values(
    pod: &Pod,
    name: &str,
    optional: Option<bool>,
    lookup: &dyn Lookup,
) -> Result<Option<BTreeMap<String, String>>, String> {
    match lookup.config_map(spec::namespace(pod), name).await? {
        Some(map) => Ok(Some(map.data.unwrap_or_default())),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("configmap {name:?} not found")),
    }
}

async fn secret_values(
    pod: &Pod,
    name: &str,
    optional: Option<bool>,
    lookup: &dyn Lookup,
) -> Result<Option<BTreeMap<String, String>>, String> {
    match lookup.secret(spec::namespace(pod), name).await? {
        Some(secret) => {
            let data = secret.data.unwrap_or_default().into_iter();
            Ok(Some(data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect()))
        }
        None if optional == Some(true) => Ok(None),
        None => Err(format!("secret {name:?} not found")),
    }
}

async fn value_from(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    facts: &PodFacts,
    lookup: &dyn Lookup,
) -> Result<Option<String>, String> {
    let namespace = spec::namespace(pod);
    if let Some(selector) = &source.field_ref {
        return fields::field(pod, &selector.field_path, facts).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        let other = selector.container_name.as_deref().filter(|name| !name.is_empty());
        let container = match other {
            Some(name) => &spec::find(pod, name).ok_or_else(|| format!("container {name} not found"))?.1,
            None => container,
        };
        return fields::resource(selector, container, facts).map(Some);
    }
    if let Some(selector) = &source.config_map_key_ref {
        let Some(values) = config_map_values(pod, &selector.name, selector.optional, lookup).await? else {
            return Ok(None);
        };
        return match values.get(&selector.key) {
            Some(value) => Ok(Some(value.clone())),
            None if selector.optional == Some(true) => Ok(None),
            None => {
                Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", selector.key, selector.name))
            }
        };
    }
    if let Some(selector) = &source.secret_key_ref {
        let Some(values) = secret_values(pod, &selector.name, selector.optional, lookup).await? else {
            return Ok(None);
        };
        return match values.get(&selector.key) {
            Some(value) => Ok(Some(value.clone())),
            None if selector.optional == Some(true) => Ok(None),
            None => {
                Err(format!("couldn't find key {} in Secret {namespace}/{}", selector.key, selector.name))
            }
        };
    }
    if let Some(selector) = &source.file_key_ref {
        return Err(format!(
            "environment variables from files are not supported by this kubelet: {}",
            selector.path
        ));
    }
    Ok(Some(String::new()))
}

/// The variables that tell a pod of Services: those of its namespace if it wants them, and always the API server's.
pub(super) fn service_variables<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    links: bool,
) -> BTreeMap<String, String> {
    let mut chosen: BTreeMap<String, &Service> = BTreeMap::new();
    for service in services {
        let of = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.clone().unwrap_or_default();
        let has_ip = cluster_ip(service).is_some();
        if has_ip && of == namespace && links {
            chosen.insert(name, service);
        } else if has_ip && of == "default" && name == "kubernetes" {
            chosen.entry(name).or_insert(service);
        }
    }
    chosen.into_iter().flat_map(|(name, service)| variables_of(&name, service)).collect()
}

fn cluster_ip(service: &Service) -> Option<&str> {
    let ip = service.spec.as_ref()?.cluster_ip.as_deref()?;
    (!ip.is_empty() && ip != "None").then_some(ip)
}

fn variables_of(name: &str, service: &Service) -> Vec<(String, String)> {
    let Some(ip) = cluster_ip(service) else { return vec![] };
    let upper = |text: &str| text.replace('-', "_").to_uppercase();
    let prefix = upper(name);
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let mut all = vec![(format!("{prefix}_SERVICE_HOST"), ip.to_owned())];
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let number = port.port.to_string();
        let url = format!("{lower}://{host}:{number}");
        if index == 0 {
            all.push((format!("{prefix}_SERVICE_PORT"), number.clone()));
            all.push((format!("{prefix}_PORT"), url.clone()));
        }
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            all.push((format!("{prefix}_SERVICE_PORT_{}", upper(port_name)), number.clone()));
        }
        let port_prefix = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        all.push((port_prefix.clone(), url));
        all.push((format!("{port_prefix}_PROTO"), lower));
        all.push((format!("{port_prefix}_PORT"), number));
        all.push((format!("{port_prefix}_ADDR"), ip.to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed;

    #[async_trait]
    impl Lookup for Fixed {
        async fn config_map(&self, _: &str, name: &str) -> Result<Option<ConfigMap>, String> {
            let map = json!({"data": {"b": "2", "a": "1"}});
            Ok((name == "map").then(|| serde_json::from_value(map).unwrap()))
        }
        async fn secret(&self, _: &str, name: &str) -> Result<Option<Secret>, String> {
            Ok((name == "secret")
                .then(|| serde_json::from_value(json!({"data": {"key": "aHVzaA=="}})).unwrap()))
        }
    }

    async fn check(container: serde_json::Value) -> Result<Vec<(String, String)>, String> {
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": []}}),
        )
        .unwrap();
        let container: Container = serde_json::from_value(container).unwrap();
        let services = BTreeMap::from([("S".to_owned(), "svc".to_owned())]);
        variables(&pod, &container, &PodFacts::default(), &services, &Fixed).await
    }

    #[tokio::test]
    async fn variables_come_from_everywhere_in_order() {
        let container = json!({"name": "c",
            "envFrom": [{"prefix": "M_", "configMapRef": {"name": "map"}}, {"secretRef": {"name": "no", "optional": true}}],
            "env": [
                {"name": "X", "value": "$(M_a) $(S) $(Y)"},
                {"name": "K", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
                {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "zz", "optional": true}}}]});
        let expected =
            [("M_a", "1"), ("M_b", "2"), ("X", "1 svc $(Y)"), ("K", "hush"), ("N", "p"), ("S", "svc")];
        let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        assert_eq!(check(container).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let cases = [
            (
                json!({"name": "c", "envFrom": [{"configMapRef": {"name": "nope"}}]}),
                "configmap \"nope\" not found",
            ),
            (
                json!({"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "k"}}}]}),
                "couldn't find key k in Secret n/secret",
            ),
            (
                json!({"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "k"}}}]}),
                "couldn't find key k in ConfigMap n/map",
            ),
        ];
        for (container, expected) in cases {
            assert_eq!(check(container).await.unwrap_err(), expected);
        }
    }

    #[test]
    fn services_are_told_as_docker_links_were() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}
        }))
        .unwrap();
        let all = service_variables([&service], "elsewhere", true);
        let lines: Vec<String> = all.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        // As topic 01's `kubectl exec -- env` shows it, sorted.
        assert_eq!(
            lines,
            [
                "KUBERNETES_PORT=tcp://10.96.0.1:443",
                "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
                "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
                "KUBERNETES_PORT_443_TCP_PORT=443",
                "KUBERNETES_PORT_443_TCP_PROTO=tcp",
                "KUBERNETES_SERVICE_HOST=10.96.0.1",
                "KUBERNETES_SERVICE_PORT=443",
                "KUBERNETES_SERVICE_PORT_HTTPS=443",
            ]
        );
    }
}
