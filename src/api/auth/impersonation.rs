//! `--as`: acting as somebody else, by the `Impersonate-*` headers.
// Models k8s.io/apiserver/pkg/endpoints/filters/impersonation.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::UserInfo;
use crate::api::status::ApiError;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

/// The user that the headers name; `None` if they name nobody. Whether the caller may is authorization's to say.
pub fn impersonated(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let all =
        |name: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
    let mut user =
        UserInfo { name: text(USER), uid: text(UID), groups: all(GROUP).collect(), ..UserInfo::default() };
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            user.extra.insert(key, all(name.as_str()).collect());
        }
    }
    if user.name.is_empty() {
        let nothing = user == UserInfo::default();
        let without = format!("requested {user:?} without impersonating a user name");
        return if nothing { Ok(None) } else { Err(ApiError::internal(without)) };
    }
    add_system_groups(&mut user);
    Ok(Some(user))
}

fn add_system_groups(user: &mut UserInfo) {
    if user.groups.is_empty()
        && let Some((namespace, _)) =
            user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
    {
        user.groups =
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let everybody =
        if user.name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    let settled = ["system:authenticated", "system:unauthenticated"];
    if !user.groups.iter().any(|group| settled.contains(&group.as_str())) {
        user.groups.push(everybody.to_owned());
    }
}
