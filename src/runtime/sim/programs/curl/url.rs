//! The URLs that clients are given.

/// A URL of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime::sim::programs) struct Url {
    pub(in crate::runtime::sim::programs) https: bool,
    pub(in crate::runtime::sim::programs) host: String,
    pub(in crate::runtime::sim::programs) port: u16,
    /// Path and query.
    pub(in crate::runtime::sim::programs) target: String,
    /// `user:password`, if the URL has it.
    pub(in crate::runtime::sim::programs) user: Option<String>,
    /// Whether the port was written.
    explicit_port: bool,
}

/// Why a text is no URL that we can follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime::sim::programs) enum UrlError {
    /// Another protocol.
    Protocol(String),
    NoHost,
    BadPort,
}

impl Url {
    /// Reads a URL; without a protocol it is HTTP.
    pub(in crate::runtime::sim::programs) fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(UrlError::Protocol(other.to_owned())),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        let bracket = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority.rfind(':').filter(|at| *at > bracket || bracket == 0) {
            Some(at) => (&authority[..at], Some(&authority[at + 1..])),
            None => (authority, None),
        };
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let port = port.filter(|port| !port.is_empty());
        let number = match port {
            Some(port) => port.parse().map_err(|_| UrlError::BadPort)?,
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Self { https, host: host.to_owned(), port: number, target, user, explicit_port: port.is_some() })
    }

    /// What the header `Host` says.
    pub(in crate::runtime::sim::programs) fn authority(&self) -> String {
        let default = if self.https { 443 } else { 80 };
        if self.explicit_port && self.port != default {
            format!("{}:{}", self.host, self.port)
        } else {
            self.host.clone()
        }
    }

    /// Where a `Location` leads from here.
    pub(in crate::runtime::sim::programs) fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.contains("://") {
            return Self::parse(location);
        }
        let target = if location.starts_with('/') {
            location.to_owned()
        } else {
            let path = self.target.split('?').next().unwrap_or("/");
            format!("{}/{location}", path.rsplit_once('/').map_or("", |(directory, _)| directory))
        };
        Ok(Self { target, ..self.clone() })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_their_parts() {
        let url = Url::parse("localhost:8080/a?b=c#d").unwrap();
        assert_eq!(
            (url.https, url.host.as_str(), url.port, url.target.as_str()),
            (false, "localhost", 8080, "/a?b=c")
        );
        assert_eq!(url.to_string(), "http://localhost:8080/a?b=c");
        assert_eq!(url.join("x").unwrap().target, "/x");
        let url = Url::parse("https://me:pw@web").unwrap();
        assert_eq!((url.port, url.user.as_deref(), url.authority()), (443, Some("me:pw"), "web".to_owned()));
        assert_eq!(Url::parse("http://[::1]:80/").unwrap().host, "[::1]");
        assert_eq!(Url::parse("ftp://x"), Err(UrlError::Protocol("ftp".into())));
        assert_eq!(Url::parse("http://"), Err(UrlError::NoHost));
        assert_eq!(Url::parse("http://web:x"), Err(UrlError::BadPort));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text: String, location: String) {
            if let Ok(url) = Url::parse(&text) {
                let _ = url.join(&location);
            }
        }
    }
}
