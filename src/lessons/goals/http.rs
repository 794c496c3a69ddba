//! `http`: what a Service, or any address of the cluster's network, answers.

use std::sync::Arc;

use async_trait::async_trait;
use regex::Regex;
use serde_json::Value;

use super::super::world::{HttpAnswer, World};
use super::goal::{Ask, Moment, Needs};
use super::options::Options;

#[derive(Debug)]
enum Place {
    Url(String),
    Service { name: String, namespace: String, port: u16, path: String },
}

#[derive(Debug)]
struct Http {
    place: Place,
    status: u16,
    contains: Option<String>,
    matches: Option<Regex>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let place = match (options.take("url")?, options.take("service")?) {
        (Some(url), None) => Place::Url(url),
        (None, Some(name)) => Place::Service {
            name,
            namespace: options.take("namespace")?.unwrap_or_else(|| "default".to_owned()),
            port: options.take("port")?.unwrap_or(80),
            path: options.take("path")?.unwrap_or_else(|| "/".to_owned()),
        },
        _ => return Err("has one of `url` and `service`".to_owned()),
    };
    let goal = Http {
        place,
        status: options.take("status")?.unwrap_or(200),
        contains: options.take("contains")?,
        matches: options.regex("matches")?,
    };
    options.end()?;
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Http {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let answer = match &self.place {
            Place::Url(url) => moment.world.http(url).await,
            Place::Service { name, namespace, port, path } => {
                let service = moment.world.objects("services", namespace, Some(name), moment.revision).pop();
                let ip = service.as_ref().and_then(|service| service["spec"]["clusterIP"].as_str());
                let Some(ip) = ip.filter(|ip| *ip != "None") else { return false };
                moment.world.http(&format!("http://{ip}:{port}{path}")).await
            }
        };
        let Some(HttpAnswer { status, body }) = answer else { return false };
        status == self.status
            && self.contains.as_ref().is_none_or(|part| body.contains(part))
            && self.matches.as_ref().is_none_or(|regex| regex.is_match(&body))
    }

    fn needs(&self) -> Needs {
        Needs { asking: true, present: true, ..Needs::default() }
    }

    fn lint(&self, _: &World) -> Vec<String> {
        vec![]
    }
}
