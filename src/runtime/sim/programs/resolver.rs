//! Names to addresses, as the C library does it: `/etc/hosts`, then `/etc/resolv.conf` with its search list and `ndots`.

use std::io;
use std::net::IpAddr;

use crate::bash::Files;
use crate::network::NetHost;

/// What `/etc/resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<String>,
    pub(super) searches: Vec<String>,
    pub(super) ndots: usize,
}

impl ResolvConf {
    /// Reads the file's text.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self { ndots: 1, ..Self::default() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().map(str::to_owned)),
                Some("search" | "domain") => conf.searches = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots =
                        words.filter_map(|word| word.strip_prefix("ndots:")).find_map(|n| n.parse().ok());
                    conf.ndots = ndots.unwrap_or(conf.ndots);
                }
                _ => {}
            }
        }
        conf
    }

    /// The full names to ask for, in order.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self.searches.iter().map(|search| format!("{name}.{search}"));
        if name.matches('.').count() >= self.ndots {
            std::iter::once(name.to_owned()).chain(searched).collect()
        } else {
            searched.chain([name.to_owned()]).collect()
        }
    }
}

/// Reads a container's `/etc/resolv.conf`.
pub(super) async fn resolv_conf(files: &dyn Files) -> ResolvConf {
    let text = files.read("/etc/resolv.conf").await.unwrap_or_default();
    ResolvConf::parse(&String::from_utf8_lossy(&text))
}

/// The name servers of a container's `/etc/resolv.conf`.
pub(in crate::runtime::sim) async fn name_servers(files: &dyn Files) -> Vec<IpAddr> {
    resolv_conf(files).await.servers.iter().filter_map(|server| server.parse().ok()).collect()
}

/// The addresses of a name, IPv4 first; empty if it has none.
pub(super) async fn lookup(host: &NetHost, files: &dyn Files, name: &str) -> Vec<IpAddr> {
    if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
        return vec![ip];
    }
    let hosts = files.read("/etc/hosts").await.unwrap_or_default();
    let mut known: Vec<IpAddr> = String::from_utf8_lossy(&hosts)
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|alias| alias.eq_ignore_ascii_case(name)).then_some(ip)
        })
        .collect();
    if known.is_empty() && name == "localhost" {
        known.push([127, 0, 0, 1].into());
    }
    if known.is_empty() {
        known = ask(host, &resolv_conf(files).await, name)
            .await
            .map(|(_, addresses)| addresses)
            .unwrap_or_default();
    }
    known.sort_by_key(|ip| !ip.is_ipv4());
    known
}

/// Asks the cluster's DNS: the first full name that has addresses. `None` as well if no name server is configured.
pub(super) async fn ask(host: &NetHost, conf: &ResolvConf, name: &str) -> Option<(String, Vec<IpAddr>)> {
    conf.servers.first()?;
    first_known(host, &conf.candidates(name)).await.ok()?
}

/// The first of these full names that has addresses. The error says that no name server answers, after which no other name is
/// asked for.
pub(super) async fn first_known(
    host: &NetHost,
    names: &[String],
) -> io::Result<Option<(String, Vec<IpAddr>)>> {
    for full in names {
        let addresses = host.resolve(full.trim_end_matches('.')).await?;
        if !addresses.is_empty() {
            return Ok(Some((full.clone(), addresses)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_searched_first_and_long_ones_last() {
        let conf = ResolvConf::parse(
            "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        );
        assert_eq!(conf.servers, ["10.96.0.10"]);
        assert_eq!(conf.candidates("web"), ["web.default.svc.cluster.local", "web.svc.cluster.local", "web"]);
        assert_eq!(conf.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
        assert_eq!(conf.candidates("web.default."), ["web.default"]);
    }

    proptest::proptest! {
        #[test]
        fn no_file_breaks_it(text: String, name: String) {
            let _ = ResolvConf::parse(&text).candidates(&name);
        }
    }
}
