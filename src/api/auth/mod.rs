//! Who is asking, and what they may.

mod authenticator;
mod impersonation;
mod tokens;
mod user;

pub use authenticator::{Authenticator, CertificateUser};
pub use impersonation::impersonated;
pub use tokens::{AUDIENCE, Binding, Claims, ISSUER, TokenSigner};
pub use user::UserInfo;
