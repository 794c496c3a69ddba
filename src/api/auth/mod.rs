//! Who is asking, and what they may.

mod authenticator;
mod authorizer;
mod impersonation;
mod pki;
mod tokens;
mod user;

pub use authenticator::{Authenticator, CertificateUser};
pub use authorizer::{AlwaysAllow, Authorizer, Authorizers, Decision};
pub use impersonation::impersonated;
pub use pki::{Identity, Pki, PkiError, user_of, user_of_pem};
pub use tokens::{AUDIENCE, Binding, Claims, ISSUER, TokenSigner};
pub use user::UserInfo;
