//! What a user may: a chain of authorizers, of which the first with an opinion counts.
//!
//! Until RBAC joins the chain it holds [`AlwaysAllow`] alone.
// Models k8s.io/apiserver/pkg/authorization/{authorizer,union} and .../endpoints/handlers/responsewriters (Forbidden).

use super::UserInfo;
use crate::api::request::RequestInfo;
use crate::api::status::{ApiError, GroupResource};

/// What an authorizer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, whatever the others say.
    Deny(String),
    /// The others shall say; if nobody does, it is no.
    NoOpinion(String),
}

/// Says what users may.
pub trait Authorizer: Send + Sync {
    /// Whether the user may make the request.
    fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> Decision;
}

/// Lets everybody do everything.
#[derive(Debug)]
pub struct AlwaysAllow;

impl Authorizer for AlwaysAllow {
    fn authorize(&self, _: &UserInfo, _: &RequestInfo) -> Decision {
        Decision::Allow
    }
}

/// The authorizers in their order.
pub struct Authorizers(Vec<Box<dyn Authorizer>>);

impl std::fmt::Debug for Authorizers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorizers").field(&self.0.len()).finish()
    }
}

impl Authorizers {
    /// The chain that the API server runs.
    pub fn built_in() -> Self {
        Self(vec![Box::new(AlwaysAllow)])
    }

    /// A chain of these.
    pub fn new(authorizers: Vec<Box<dyn Authorizer>>) -> Self {
        Self(authorizers)
    }

    /// What the chain says.
    pub fn decide(&self, user: &UserInfo, request: &RequestInfo) -> Decision {
        let mut reasons = vec![];
        for authorizer in &self.0 {
            match authorizer.authorize(user, request) {
                Decision::NoOpinion(reason) if reason.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason),
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }

    /// Lets the request pass, or refuses it with 403.
    pub fn check(&self, user: &UserInfo, request: &RequestInfo) -> Result<(), ApiError> {
        match self.decide(user, request) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(user, request, &reason)),
        }
    }
}

fn forbidden(user: &UserInfo, request: &RequestInfo, reason: &str) -> ApiError {
    let (name, verb) = (&user.name, &request.verb);
    let mut why = if request.is_resource {
        let mut resource = request.resource.clone();
        if !request.subresource.is_empty() {
            resource = format!("{resource}/{}", request.subresource);
        }
        let scope = match request.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!("User {name:?} cannot {verb} resource {resource:?} in API group {:?} {scope}", request.group)
    } else {
        format!("User {name:?} cannot {verb} path {:?}", request.path)
    };
    why = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if !reason.is_empty() {
        why = format!("{why}: {reason}");
    }
    if request.is_resource {
        return ApiError::forbidden(
            &GroupResource::new(&request.group, &request.resource),
            &request.name,
            &why,
        );
    }
    let mut error = ApiError::forbidden(&GroupResource::new("", ""), "", &why);
    error.0.message = Some(format!("forbidden: {why}"));
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::Query;

    struct Nothing;
    impl Authorizer for Nothing {
        fn authorize(&self, _: &UserInfo, _: &RequestInfo) -> Decision {
            Decision::NoOpinion(String::new())
        }
    }

    #[test]
    fn a_refusal_says_who_what_and_where() {
        let chain = Authorizers::new(vec![Box::new(Nothing)]);
        let zed = UserInfo::new("zed", &[]);
        let refusal = |path: &str| {
            let request = RequestInfo::parse(&http::Method::GET, path, &Query::default());
            chain.check(&zed, &request).unwrap_err().to_string()
        };
        let cases = [
            (
                "/api/v1/namespaces/default/configmaps/zed",
                "configmaps \"zed\" is forbidden: User \"zed\" cannot get resource \"configmaps\" in API group \"\" in the \
                 namespace \"default\"",
            ),
            (
                "/apis/apps/v1/deployments",
                "deployments.apps is forbidden: User \"zed\" cannot list resource \"deployments\" in API group \"apps\" at \
                 the cluster scope",
            ),
            ("/metrics", "forbidden: User \"zed\" cannot get path \"/metrics\""),
        ];
        for (path, expected) in cases {
            assert_eq!(refusal(path), expected);
        }
        let both = Authorizers::new(vec![Box::new(Nothing), Box::new(AlwaysAllow)]);
        assert!(both.check(&zed, &RequestInfo::default()).is_ok());
    }
}
