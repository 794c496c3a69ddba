//! The cluster's certificate authority: it signs the API server's certificate and those by which clients are known.
// Models kubeadm's certificates: the user is the certificate's common name, its groups are the organizations.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::UserInfo;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The parameters or the PEM text are wrong.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate and the key are not TLS's.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A certificate names two groups at the most.
    #[error("a client certificate names at most 2 groups, not {0}")]
    Groups(usize),
    /// The PEM text is none.
    #[error("PEM: {0}")]
    Pem(String),
}

/// A certificate and its private key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct Pki {
    authority: Identity,
}

impl Pki {
    /// A new authority with a key of its own.
    pub fn generate() -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec!["kubernetes".to_owned()])?;
        params.distinguished_name = name("kubernetes", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { authority: Identity { certificate, key: key.serialize_pem() } })
    }

    /// The authority that was generated before.
    pub fn from_pem(authority: Identity) -> Result<Self, PkiError> {
        let pki = Self { authority };
        pki.issuer()?;
        Ok(pki)
    }

    /// The authority's own certificate and key.
    pub fn authority(&self) -> &Identity {
        &self.authority
    }

    /// A server's certificate for these DNS names and IPs.
    pub fn server(&self, names: &[String], ips: &[IpAddr]) -> Result<Identity, PkiError> {
        let names: Vec<String> = names.iter().cloned().chain(ips.iter().map(ToString::to_string)).collect();
        self.sign(
            CertificateParams::new(names)?,
            name("kube-apiserver", &[]),
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// A client's certificate that makes it this user of these groups, two at the most.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, PkiError> {
        if groups.len() > 2 {
            return Err(PkiError::Groups(groups.len()));
        }
        let params = CertificateParams::new(Vec::<String>::new())?;
        self.sign(params, name(user, groups), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        name: DistinguishedName,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        params.distinguished_name = name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer()?)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    fn issuer(&self) -> Result<Issuer<'_, KeyPair>, PkiError> {
        let key = KeyPair::from_pem(&self.authority.key)?;
        Ok(Issuer::from_ca_cert_pem(&self.authority.certificate, key)?)
    }
}

/// The number of the attribute "organization".
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

fn name(common: &str, organizations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // rcgen keeps one value a type, but knows a type by its name and by its number: enough for two.
    let types = [DnType::OrganizationName, DnType::CustomDnType(ORGANIZATION.to_vec())];
    for (r#type, organization) in types.into_iter().zip(organizations) {
        name.push(r#type, *organization);
    }
    name.push(DnType::CommonName, common);
    name
}

/// The user that a client certificate names; its signature has been checked.
// Models k8s.io/apiserver/pkg/authentication/request/x509 (CommonNameUserConversion).
pub fn user_of(certificate: &[u8]) -> Option<UserInfo> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|organization| organization.as_str().ok());
    let groups: Vec<&str> = groups.collect();
    (!name.is_empty()).then(|| UserInfo::new(&name, &groups))
}

/// The user that a client certificate in PEM names.
pub fn user_of_pem(certificate: &[u8]) -> Option<UserInfo> {
    use rustls_pki_types::pem::PemObject;
    user_of(&rustls_pki_types::CertificateDer::from_pem_slice(certificate).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::pem::PemObject;

    #[test]
    fn a_client_certificate_says_who_the_client_is() {
        let pki = Pki::generate().unwrap();
        let pki = Pki::from_pem(pki.authority().clone()).unwrap();
        let identity = pki.client("mara", &["brewers", "guests"]).unwrap();
        let der = rustls_pki_types::CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let user = user_of(&der).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("mara", ["brewers", "guests", "system:authenticated"].map(String::from).to_vec())
        );
        assert!(user_of(b"nonsense").is_none());
    }
}
