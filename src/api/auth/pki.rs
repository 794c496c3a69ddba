//! The cluster's certificate authority: it signs the API server's certificate and those by which clients are known.
//!
//! Keys are drawn from a seed and signatures depend on nothing else, so the same seed makes the same certificates.
// Models kubeadm's certificates: the user is the certificate's common name, its groups are the organizations.

use std::net::IpAddr;

use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::UserInfo;
use crate::seed::Seed;

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
    /// The PEM text is none, or a key cannot be written as such.
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

/// A private key on the curve P-256. (ring's own would sign with a random number of its own.)
#[derive(Clone)]
struct Key {
    private: p256::ecdsa::SigningKey,
    public: p256::EncodedPoint,
}

impl Key {
    fn draw(seed: &Seed) -> Self {
        // All but one in 2^32 numbers are keys.
        let private = std::iter::repeat_with(|| p256::ecdsa::SigningKey::from_slice(&seed.bytes::<32>()))
            .find_map(Result::ok)
            .expect("the numbers do not end");
        let public = private.verifying_key().to_encoded_point(false);
        Self { private, public }
    }

    fn pem(&self) -> Result<String, PkiError> {
        let key = p256::SecretKey::from(&self.private);
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| PkiError::Pem(error.to_string()))?;
        Ok(pem.to_string())
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: p256::ecdsa::DerSignature =
            self.private.try_sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.as_bytes().to_vec())
    }
}

/// A certificate authority.
#[derive(Clone)]
pub struct Pki {
    key: Key,
    certificate: String,
    seed: Seed,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority with a key of its own. It and what it signs are drawn from `seed`.
    pub fn generate(seed: Seed) -> Result<Self, PkiError> {
        let key = Key::draw(&seed);
        let mut params = CertificateParams::new(vec!["kubernetes".to_owned()])?;
        params.distinguished_name = name("kubernetes", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { key, certificate, seed })
    }

    /// The authority's own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
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
        let key = Key::draw(&self.seed);
        params.distinguished_name = name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &self.key)?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Identity { certificate, key: key.pem()? })
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
        let pki = Pki::generate(Seed::new(7)).unwrap();
        let identity = pki.client("mara", &["brewers", "guests"]).unwrap();
        let der = rustls_pki_types::CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let user = user_of(&der).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("mara", ["brewers", "guests", "system:authenticated"].map(String::from).to_vec())
        );
        assert!(user_of(b"nonsense").is_none());
    }

    #[test]
    fn the_same_seed_makes_the_same_certificates() {
        let made = |seed| {
            let pki = Pki::generate(Seed::new(seed)).unwrap();
            let client = pki.client("mara", &[]).unwrap();
            (pki.certificate, client.certificate, client.key)
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7).0, made(8).0);
    }
}
