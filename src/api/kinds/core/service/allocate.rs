//! The addresses and node ports of Services: taken when a Service is made or changed, given back when it goes.
//!
//! A write that fails on the way gives back what it took: inside these functions at once, later through the kind's
//! `after_delete` and `after_replace`. The cluster has IPv4 addresses only.
// Models pkg/registry/core/service/storage (alloc.go, storage.go).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::ports::{hands_out_node_ports, is_headless, needs_health_check, needs_node_ports, node_ports};
use super::validation;
use crate::api::allocations::{AllocationError, Allocations, NODE_PORTS};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::WriteContext;
use crate::api::kinds::checks::parse_ip;
use crate::api::kinds::unset::text;
use crate::api::status::ApiError;

/// What a Service holds.
#[derive(Debug, Default)]
struct Holdings {
    ips: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<u16>,
}

impl Holdings {
    fn of(service: &Service) -> Self {
        let Some(spec) = &service.spec else { return Self::default() };
        let mut holdings = Self::default();
        if text(&spec.type_) != "ExternalName" && !is_headless(spec) {
            holdings.ips = spec.cluster_ips.iter().flatten().filter_map(|ip| ip.parse().ok()).collect();
        }
        if needs_node_ports(spec) {
            holdings.ports = node_ports(spec).filter_map(|port| u16::try_from(port).ok()).collect();
        }
        if needs_health_check(spec) {
            holdings.ports.extend(spec.health_check_node_port.and_then(|port| u16::try_from(port).ok()));
        }
        holdings
    }
}

/// Gives back what `dropped` holds and `kept` does not.
pub(super) fn release(allocations: &Allocations, dropped: &Service, kept: Option<&Service>) {
    let (dropped, kept) = (Holdings::of(dropped), kept.map(Holdings::of).unwrap_or_default());
    dropped.ips.difference(&kept.ips).for_each(|ip| allocations.release_ip(*ip));
    dropped.ports.difference(&kept.ports).for_each(|port| allocations.release_port(*port));
}

/// What this write has taken so far.
struct Taking<'a> {
    context: &'a WriteContext<'a>,
    name: String,
    taken: Holdings,
}

impl<'a> Taking<'a> {
    fn new(context: &'a WriteContext<'a>, service: &Service) -> Self {
        Self { context, name: service.metadata.name.clone().unwrap_or_default(), taken: Holdings::default() }
    }

    /// Keeps what was taken if all went well and the write is meant; else gives it back.
    fn finish(self, result: Result<(), ApiError>) -> Result<(), ApiError> {
        if result.is_err() || self.context.dry_run {
            self.taken.ips.iter().for_each(|ip| self.context.allocations.release_ip(*ip));
            self.taken.ports.iter().for_each(|port| self.context.allocations.release_port(*port));
        }
        result
    }

    fn refuse(&self, errors: &[FieldError]) -> ApiError {
        ApiError::invalid("", "Service", &self.name, errors)
    }

    fn any_port(&mut self) -> Result<i32, ApiError> {
        let port = self.context.allocations.any_port(self.context.seed);
        let port =
            port.map_err(|error| ApiError::internal(format!("failed to allocate a nodePort: {error}")))?;
        self.taken.ports.insert(port);
        Ok(port.into())
    }

    fn port(&mut self, port: i32) -> Result<(), String> {
        let number = u16::try_from(port).map_err(|_| AllocationError::OutOfRange);
        match number.and_then(|number| self.context.allocations.take_port(number).map(|()| number)) {
            Ok(number) => {
                self.taken.ports.insert(number);
                Ok(())
            }
            Err(AllocationError::OutOfRange) => Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                NODE_PORTS.start(),
                NODE_PORTS.end()
            )),
            Err(_) => Err("provided port is already allocated".to_owned()),
        }
    }

    fn node_port(&mut self, index: usize, port: i32) -> Result<(), ApiError> {
        self.port(port).map_err(|why| {
            let field = FieldPath::new("spec").child("ports").index(index).child("nodePort");
            self.refuse(&[FieldError::invalid(&field, port, why)])
        })
    }

    fn ip(&mut self, spec: &mut ServiceSpec) -> Result<(), ApiError> {
        let asked = spec.cluster_ips.iter().flatten().next().cloned().unwrap_or_default();
        let ip = if asked.is_empty() {
            let ip = self.context.allocations.any_ip(self.context.seed);
            ip.map_err(|error| {
                let name = &self.name;
                ApiError::internal(format!("failed to allocate a serviceIP for Service {name:?}: {error}"))
            })?
        } else {
            let taken = parse_ip(&asked).ok_or(AllocationError::OutOfRange).and_then(|ip| match ip {
                std::net::IpAddr::V4(ip) => self.context.allocations.take_ip(ip).map(|()| ip),
                std::net::IpAddr::V6(_) => Err(AllocationError::OutOfRange),
            });
            taken.map_err(|error| {
                let why = match error {
                    AllocationError::OutOfRange => {
                        "the provided network does not match the current range".to_owned()
                    }
                    other => other.to_string(),
                };
                let field = FieldPath::new("spec").child("clusterIPs");
                let why = format!("failed to allocate IP {asked}: {why}");
                self.refuse(&[FieldError::invalid(&field, vec![asked.clone()], why)])
            })?
        };
        self.taken.ips.insert(ip);
        let shown = if asked.is_empty() { ip.to_string() } else { asked };
        spec.cluster_ips = Some(vec![shown.clone()]);
        spec.cluster_ip = Some(shown);
        Ok(())
    }

    fn health_check_port(&mut self, spec: &mut ServiceSpec) -> Result<(), ApiError> {
        match spec.health_check_node_port.unwrap_or_default() {
            0 => spec.health_check_node_port = Some(self.any_port()?),
            port => self.port(port).map_err(|why| {
                ApiError::internal(format!("failed to allocate requested HealthCheck NodePort {port}: {why}"))
            })?,
        }
        Ok(())
    }
}

/// Completes the families and takes an address and ports for a new Service.
pub(super) fn for_create(context: &WriteContext<'_>, service: &mut Service) -> Result<(), ApiError> {
    let spec = service.spec.get_or_insert_default();
    if !text(&spec.cluster_ip).is_empty() && spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
        spec.cluster_ips = spec.cluster_ip.clone().map(|ip| vec![ip]);
    }
    let mut taking = Taking::new(context, service);
    let result = take_for_create(&mut taking, service);
    taking.finish(result)
}

fn take_for_create(taking: &mut Taking<'_>, service: &mut Service) -> Result<(), ApiError> {
    complete_families(taking, service, None)?;
    let spec = service.spec.get_or_insert_default();
    if text(&spec.type_) != "ExternalName" && !is_headless(spec) {
        taking.ip(spec)?;
    }
    if needs_node_ports(spec) {
        take_node_ports(taking, spec)?;
    }
    if needs_health_check(spec) { taking.health_check_port(spec) } else { Ok(()) }
}

// Models initNodePorts: ports of one number and different protocols share their node port.
fn take_node_ports(taking: &mut Taking<'_>, spec: &mut ServiceSpec) -> Result<(), ApiError> {
    let hands_out = hands_out_node_ports(spec);
    let ports = spec.ports.get_or_insert_default();
    let requested: Vec<(i32, i32)> =
        ports.iter().map(|port| (port.port, port.node_port.unwrap_or_default())).collect();
    let mut by_port: BTreeMap<i32, i32> = BTreeMap::new();
    for (index, port) in ports.iter_mut().enumerate() {
        let own = port.node_port.unwrap_or_default();
        if own == 0 && !hands_out {
            continue;
        }
        match by_port.get(&port.port).copied() {
            None => {
                let asked = requested.iter().find(|(number, node)| *number == port.port && *node != 0);
                let node = match asked {
                    Some((_, node)) => {
                        taking.node_port(index, *node)?;
                        *node
                    }
                    None => taking.any_port()?,
                };
                port.node_port = Some(node);
                by_port.insert(port.port, node);
            }
            Some(shared) if own == 0 => port.node_port = Some(shared),
            Some(shared) if own != shared => taking.node_port(index, own)?,
            Some(_) => {}
        }
    }
    Ok(())
}

/// Takes what the changed Service needs besides what the old one holds. What it needs no more stays taken until
/// [`release`] is called.
pub(super) fn for_update(
    context: &WriteContext<'_>,
    new: &mut Service,
    old: &Service,
) -> Result<(), ApiError> {
    keep_allocated(new, old);
    normalize_ips(new, old);
    let mut taking = Taking::new(context, new);
    let result = take_for_update(&mut taking, new, old);
    taking.finish(result)
}

fn take_for_update(taking: &mut Taking<'_>, new: &mut Service, old: &Service) -> Result<(), ApiError> {
    complete_families(taking, new, Some(old))?;
    let before = old.spec.clone().unwrap_or_default();
    let spec = new.spec.get_or_insert_default();
    let external = |spec: &ServiceSpec| text(&spec.type_) == "ExternalName";
    if external(&before) && !external(spec) && !is_headless(spec) {
        taking.ip(spec)?;
    }
    if needs_node_ports(spec) {
        let held = if needs_node_ports(&before) { node_ports(&before).collect() } else { BTreeSet::new() };
        update_node_ports(taking, spec, &held)?;
    }
    let fresh = needs_health_check(spec) && !needs_health_check(&before);
    if fresh { taking.health_check_port(spec) } else { Ok(()) }
}

// Models updateNodePorts.
fn update_node_ports(
    taking: &mut Taking<'_>,
    spec: &mut ServiceSpec,
    held: &BTreeSet<i32>,
) -> Result<(), ApiError> {
    let hands_out = hands_out_node_ports(spec);
    let (mut taken, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in spec.ports.iter_mut().flatten().enumerate() {
        let node = match port.node_port.unwrap_or_default() {
            0 if !hands_out => continue,
            0 => taking.any_port()?,
            node => {
                if !held.contains(&node) && taken.insert(node) {
                    taking.node_port(index, node)?;
                }
                node
            }
        };
        port.node_port = Some(node);
        if !seen.insert((text(&port.protocol).to_owned(), node)) {
            return Err(ApiError::internal(format!(
                "duplicate nodePort: {{{} {node}}}",
                text(&port.protocol)
            )));
        }
    }
    Ok(())
}

/// An update that leaves out what was allocated means what there is.
// Models patchAllocatedValues.
fn keep_allocated(new: &mut Service, old: &Service) {
    let (Some(spec), Some(before)) = (&mut new.spec, &old.spec) else { return };
    let needs_ip = |spec: &ServiceSpec| text(&spec.type_) != "ExternalName";
    if needs_ip(before) && needs_ip(spec) {
        if text(&spec.cluster_ip).is_empty() {
            spec.cluster_ip = before.cluster_ip.clone();
        }
        if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
            spec.cluster_ips = before.cluster_ips.clone();
        }
    }
    if needs_node_ports(before) && needs_node_ports(spec) {
        let was: BTreeSet<i32> = node_ports(before).collect();
        let used: BTreeSet<i32> = node_ports(spec).filter(|port| was.contains(port)).collect();
        let by_name: BTreeMap<&str, i32> = before
            .ports
            .iter()
            .flatten()
            .map(|port| (text(&port.name), port.node_port.unwrap_or_default()))
            .collect();
        for port in spec.ports.iter_mut().flatten().filter(|port| port.node_port.unwrap_or_default() == 0) {
            let known = by_name.get(text(&port.name)).copied().unwrap_or_default();
            if known != 0 && !used.contains(&known) {
                port.node_port = Some(known);
            }
        }
    }
    if needs_health_check(before)
        && needs_health_check(spec)
        && spec.health_check_node_port.unwrap_or_default() == 0
    {
        spec.health_check_node_port = before.health_check_node_port;
    }
}

/// `clusterIP` and the first of `clusterIPs` are one; who changes one of them means both.
// Models normalizeClusterIPs.
fn normalize_ips(new: &mut Service, old: &Service) {
    let (Some(spec), Some(before)) = (&mut new.spec, &old.spec) else { return };
    let (now, was) = (text(&spec.cluster_ip).to_owned(), text(&before.cluster_ip));
    if now == was {
        return;
    }
    let same = spec.cluster_ips.clone().unwrap_or_default() == before.cluster_ips.clone().unwrap_or_default();
    if same {
        spec.cluster_ips = (!now.is_empty()).then(|| vec![now]);
    }
}

/// Sets the policy and the families that are not given, and refuses those that this cluster does not have.
// Models initIPFamilyFields for a cluster with IPv4 only.
fn complete_families(
    taking: &Taking<'_>,
    service: &mut Service,
    old: Option<&Service>,
) -> Result<(), ApiError> {
    let before = old.and_then(|old| old.spec.as_ref());
    let Some(spec) = service.spec.as_mut().filter(|spec| text(&spec.type_) != "ExternalName") else {
        return Ok(());
    };
    let free =
        text(&spec.cluster_ip) == "None" && spec.selector.as_ref().is_none_or(|selector| selector.is_empty());
    if spec.ip_family_policy.is_none() {
        let policy = before.and_then(|before| before.ip_family_policy.clone());
        let otherwise = if free { "RequireDualStack" } else { "SingleStack" };
        spec.ip_family_policy = Some(policy.unwrap_or_else(|| otherwise.to_owned()));
    }
    let errors = validation::validate_ips(spec);
    if !errors.is_empty() {
        return Err(taking.refuse(&errors));
    }
    let errors = infer_families(spec, before);
    if !errors.is_empty() {
        return Err(taking.refuse(&errors));
    }
    let single = text(&spec.ip_family_policy) == "SingleStack";
    let families = spec.ip_families.get_or_insert_default();
    if free {
        // Nobody knows what such a Service's endpoints will be, so it may be both.
        if families.is_empty() {
            families.push("IPv4".to_owned());
        }
        if families.len() < 2 && !single {
            families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
        }
        return Ok(());
    }
    let field = FieldPath::new("spec");
    let mut errors = vec![];
    if text(&spec.ip_family_policy) == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(&field.child("ipFamilyPolicy"), "RequireDualStack", why));
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| *family != "IPv4") {
        let field = field.child("ipFamilies").index(index);
        errors.push(FieldError::invalid(&field, family.as_str(), "not configured on this cluster"));
    }
    if !errors.is_empty() {
        return Err(taking.refuse(&errors));
    }
    if families.is_empty() {
        families.push("IPv4".to_owned());
    }
    Ok(())
}

/// The families that the addresses have; what does not fit the policy or the cluster.
fn infer_families(spec: &mut ServiceSpec, before: Option<&ServiceSpec>) -> Vec<FieldError> {
    let field = FieldPath::new("spec");
    let policy = text(&spec.ip_family_policy).to_owned();
    let refuse = |why: &str| FieldError::invalid(&field.child("ipFamilyPolicy"), policy.clone(), why);
    let count = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
    let mut errors = vec![];
    if let Some(before) = before.filter(|_| policy != "SingleStack") {
        if count(&before.cluster_ips) == 2 && count(&spec.cluster_ips) == 1 {
            errors.push(refuse("must be 'SingleStack' to release the secondary cluster IP"));
        }
        if count(&before.ip_families) == 2 && count(&spec.ip_families) == 1 {
            errors.push(refuse("must be 'SingleStack' to release the secondary IP family"));
        }
    }
    if policy == "SingleStack" {
        if count(&spec.cluster_ips) == 2 {
            errors.push(refuse(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
            ));
        }
        if count(&spec.ip_families) == 2 {
            errors.push(refuse(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
            ));
        }
    }
    let ips = spec.cluster_ips.clone().unwrap_or_default();
    let families = spec.ip_families.get_or_insert_default();
    for (index, ip) in ips.iter().enumerate().take_while(|(_, ip)| *ip != "None").skip(families.len()) {
        if parse_ip(ip).is_some_and(|ip| ip.is_ipv4()) {
            families.push("IPv4".to_owned());
        } else {
            let field = field.child("clusterIPs").index(index);
            errors.push(FieldError::invalid(&field, ips.clone(), "IPv6 is not configured on this cluster"));
        }
    }
    errors
}
