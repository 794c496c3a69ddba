//! What a configuration means: servers with their ports, names and locations. Errors are nginx's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use regex::Regex;

use super::super::curl::Url;
use super::config::Directive;

/// All servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    pub(super) servers: Vec<Server>,
    /// Endings of file names and their types.
    pub(super) types: BTreeMap<String, String>,
    pub(super) default_type: String,
    /// Addresses behind the names of `proxy_pass` and `upstream`.
    pub(super) upstreams: BTreeMap<String, Vec<SocketAddr>>,
    pub(super) access_log: bool,
    pub(super) server_tokens: bool,
}

/// A server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) ports: Vec<u16>,
    pub(super) names: Vec<String>,
    pub(super) default: bool,
    pub(super) settings: Settings,
    pub(super) locations: Vec<Location>,
}

/// A part of a server.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) pattern: Pattern,
    pub(super) settings: Settings,
}

/// Which paths a location is for.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(String),
    /// Whether it keeps regular expressions from being tried.
    Prefix(String, bool),
    Regex(Regex),
}

/// What is done with a request; a location takes what it does not say from its server.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) root: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) index: Option<Vec<String>>,
    pub(super) answer: Option<(u16, String)>,
    pub(super) proxy: Option<Proxy>,
    pub(super) try_files: Vec<String>,
    pub(super) autoindex: bool,
    pub(super) default_type: Option<String>,
    pub(super) headers: Vec<(String, String, bool)>,
    pub(super) error_pages: BTreeMap<u16, String>,
    pub(super) stub_status: bool,
    pub(super) deny_all: bool,
    pub(super) access_log: Option<bool>,
    pub(super) proxy_headers: Vec<(String, String)>,
}

/// Where requests are handed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// The name of an upstream, or host and port.
    pub(super) upstream: String,
    /// What stands in place of the location's prefix, if the address has a path.
    pub(super) path: Option<String>,
    /// What the header `Host` says.
    pub(super) host: String,
}

/// A name that has to be looked up before the server starts: the name, the port, where it is written.
pub(super) type Lookup = (String, String, u16, String);

impl Site {
    /// Reads the directives. The answer says which names have to be looked up too.
    pub(super) fn read(main: &[Directive]) -> Result<(Self, Vec<Lookup>), String> {
        let mut site = Self {
            default_type: "text/plain".to_owned(),
            access_log: true,
            server_tokens: true,
            ..Self::default()
        };
        let mut lookups = vec![];
        for http in main.iter().filter(|directive| directive.name == "http") {
            let mut settings = Settings::default();
            for directive in http.inner() {
                match directive.name.as_str() {
                    "types" => {
                        for line in directive.inner() {
                            site.types
                                .extend(line.args.iter().map(|ending| (ending.clone(), line.name.clone())));
                        }
                    }
                    "default_type" => site.default_type = directive.arg().to_owned(),
                    "access_log" => site.access_log = directive.arg() != "off",
                    "server_tokens" => site.server_tokens = directive.arg() != "off",
                    "upstream" => site.upstream(directive, &mut lookups)?,
                    "server" => {}
                    "location" => return Err(not_here(directive)),
                    _ => settings.set(directive, &mut lookups)?,
                }
            }
            for directive in http.inner().iter().filter(|directive| directive.name == "server") {
                site.servers.push(Server::read(directive, &settings, &mut lookups)?);
            }
        }
        if let Some(stray) = main.iter().find(|directive| {
            matches!(directive.name.as_str(), "server" | "location" | "listen" | "upstream")
        }) {
            return Err(not_here(stray));
        }
        if !main.iter().any(|directive| directive.name == "events") {
            return Err("no \"events\" section in configuration".to_owned());
        }
        // What is an upstream needs no look-up of its own.
        let upstreams: Vec<String> = main
            .iter()
            .flat_map(Directive::inner)
            .filter(|directive| directive.name == "upstream")
            .map(|directive| directive.arg().to_owned())
            .collect();
        lookups.retain(|(_, name, _, _)| !upstreams.contains(name));
        Ok((site, lookups))
    }

    fn upstream(&mut self, directive: &Directive, lookups: &mut Vec<Lookup>) -> Result<(), String> {
        for server in directive.inner().iter().filter(|inner| inner.name == "server") {
            let (name, port) = server.arg().rsplit_once(':').unwrap_or((server.arg(), "80"));
            let port = port
                .parse()
                .map_err(|_| format!("invalid port in upstream {:?} in {}", server.arg(), server.place))?;
            lookups.push((directive.arg().to_owned(), name.to_owned(), port, server.place.clone()));
        }
        self.upstreams.insert(directive.arg().to_owned(), vec![]);
        Ok(())
    }
}

fn not_here(directive: &Directive) -> String {
    format!("{:?} directive is not allowed here in {}", directive.name, directive.place)
}

impl Server {
    fn read(directive: &Directive, outer: &Settings, lookups: &mut Vec<Lookup>) -> Result<Self, String> {
        let mut server = Self { settings: outer.clone(), ..Self::default() };
        for inner in directive.inner() {
            match inner.name.as_str() {
                "listen" => {
                    let text = inner.arg().rsplit(':').next().unwrap_or_default();
                    let bad = || {
                        format!(
                            "invalid port in {:?} of the \"listen\" directive in {}",
                            inner.arg(),
                            inner.place
                        )
                    };
                    let whole_host = text.contains('.') || text.ends_with(']');
                    let port = if whole_host {
                        80
                    } else {
                        text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad)?
                    };
                    if !server.ports.contains(&port) {
                        server.ports.push(port);
                    }
                    server.default |= inner.args.iter().any(|word| word == "default_server");
                }
                "server_name" => server.names.extend(inner.args.iter().cloned()),
                "location" => {}
                "server" | "http" | "upstream" | "events" => return Err(not_here(inner)),
                _ => server.settings.set(inner, lookups)?,
            }
        }
        if server.ports.is_empty() {
            server.ports.push(80);
        }
        for inner in directive.inner().iter().filter(|inner| inner.name == "location") {
            let pattern = pattern(inner)?;
            let mut settings = Settings {
                answer: None,
                proxy: None,
                stub_status: false,
                try_files: vec![],
                ..server.settings.clone()
            };
            let mut own_headers = vec![];
            for directive in inner.inner() {
                if directive.name == "add_header" && own_headers.is_empty() {
                    // Headers of the server count only where a location has none of its own.
                    settings.headers.clear();
                }
                settings.set(directive, lookups)?;
                own_headers = settings.headers.clone();
            }
            server.locations.push(Location { pattern, settings });
        }
        Ok(server)
    }
}

fn pattern(directive: &Directive) -> Result<Pattern, String> {
    let wrong = || format!("invalid number of arguments in \"location\" directive in {}", directive.place);
    let regex = |text: &str, ignore_case: bool| {
        let text = if ignore_case { format!("(?i){text}") } else { text.to_owned() };
        Regex::new(&text)
            .map(Pattern::Regex)
            .map_err(|_| format!("pcre2_compile() failed in {text:?} in {}", directive.place))
    };
    match directive.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["=", path] => Ok(Pattern::Exact(path.to_owned())),
        ["^~", path] => Ok(Pattern::Prefix(path.to_owned(), true)),
        ["~", text] => regex(text, false),
        ["~*", text] => regex(text, true),
        [path] => Ok(Pattern::Prefix(path.to_owned(), false)),
        _ => Err(wrong()),
    }
}

impl Settings {
    fn set(&mut self, directive: &Directive, lookups: &mut Vec<Lookup>) -> Result<(), String> {
        let few = || {
            format!("invalid number of arguments in {:?} directive in {}", directive.name, directive.place)
        };
        let arg = directive.arg().to_owned();
        match directive.name.as_str() {
            "root" | "alias" | "index" | "return" | "proxy_pass" | "try_files" | "add_header"
            | "error_page"
                if arg.is_empty() =>
            {
                return Err(few());
            }
            "root" => self.root = Some(arg),
            "alias" => self.alias = Some(arg),
            "index" => self.index = Some(directive.args.clone()),
            "autoindex" => self.autoindex = arg == "on",
            "default_type" => self.default_type = Some(arg),
            "stub_status" => self.stub_status = true,
            "deny" => self.deny_all = arg == "all",
            "access_log" => self.access_log = Some(arg != "off"),
            "try_files" => self.try_files.clone_from(&directive.args),
            "return" => {
                let text = directive.args.get(1).cloned().unwrap_or_default();
                self.answer = Some(match arg.parse() {
                    Ok(code) => (code, text),
                    Err(_) if arg.contains("://") => (302, arg),
                    Err(_) => return Err(format!("invalid return code {arg:?} in {}", directive.place)),
                });
            }
            "add_header" => {
                let value = directive.args.get(1).ok_or_else(few)?.clone();
                self.headers.push((arg, value, directive.args.get(2).is_some_and(|word| word == "always")));
            }
            "proxy_set_header" => {
                self.proxy_headers.push((arg, directive.args.get(1).cloned().unwrap_or_default()))
            }
            "error_page" => {
                let (codes, path) = directive.args.split_at(directive.args.len() - 1);
                let codes = codes.iter().filter_map(|code| code.parse().ok());
                self.error_pages.extend(codes.map(|code| (code, path[0].clone())));
            }
            "proxy_pass" => self.proxy = Some(proxy(directive, lookups)?),
            _ => {}
        }
        Ok(())
    }
}

fn proxy(directive: &Directive, lookups: &mut Vec<Lookup>) -> Result<Proxy, String> {
    let text = directive.arg();
    let prefix = || format!("invalid URL prefix in {}", directive.place);
    if !text.starts_with("http://") {
        return Err(prefix());
    }
    let url = Url::parse(text).map_err(|_| prefix())?;
    let has_path = text["http://".len()..].contains('/');
    let upstream = url.authority();
    lookups.push((upstream.clone(), url.host.clone(), url.port, directive.place.clone()));
    Ok(Proxy { host: upstream.clone(), upstream, path: has_path.then_some(url.target) })
}

#[cfg(test)]
mod tests {
    use super::super::config::parse;
    use super::*;

    fn read(servers: &str) -> Result<(Site, Vec<Lookup>), String> {
        Site::read(&parse(&format!("events {{}} http {{ {servers} }}"), "f").unwrap())
    }

    #[test]
    fn servers_have_ports_and_locations() {
        let (site, lookups) = read(
            "upstream api { server backend:8080; } server { listen 8080; listen [::]:8080; server_name a b; root /www; \
             location /api/ { proxy_pass http://api/; } location / { return 200 hi; } location ~ x { proxy_pass http://other; } }",
        )
        .unwrap();
        let server = &site.servers[0];
        assert_eq!((&server.ports[..], server.names.len(), server.locations.len()), (&[8080][..], 2, 3));
        assert_eq!(server.locations[0].settings.proxy.as_ref().unwrap().path.as_deref(), Some("/"));
        assert_eq!(server.locations[1].settings.root.as_deref(), Some("/www"));
        let names: Vec<_> =
            lookups.iter().map(|(key, name, port, _)| (key.as_str(), name.as_str(), *port)).collect();
        assert_eq!(names, [("api", "backend", 8080), ("other", "other", 80)]);
        assert_eq!(
            read("server { listen x; }").unwrap_err(),
            "invalid port in \"x\" of the \"listen\" directive in f:1"
        );
        assert_eq!(read("location / {}").unwrap_err(), "\"location\" directive is not allowed here in f:1");
    }
}
