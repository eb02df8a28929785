//! The variables of the environment that name proxies.

use std::ffi::OsString;

use crate::client::proxy::{
    no_proxy::NoProxy,
    server::{InvalidProxy, ProxyServer},
};

// Where both cases are set, curl and Python prefer lower case as well.
const FOR_WS: [&str; 2] = ["ws_proxy", "WS_PROXY"];
const FOR_WSS: [&str; 4] = ["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY"];
const FOR_HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const FOR_ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Returns the variable of this name.
type Var<'a> = &'a dyn Fn(&str) -> Option<OsString>;

pub(super) fn proxy_for_ws(var: Var<'_>) -> Result<Option<ProxyServer>, InvalidProxy> {
    // A web server passes the header `Proxy` of a request to a CGI program as HTTP_PROXY (RFC 3875 §4.1.18). On
    // Windows, the case of a variable's name does not matter.
    let from_http = if var("REQUEST_METHOD").is_some() { &[] } else { &FOR_HTTP[..] };
    proxy(var, [&FOR_WS[..], from_http, &FOR_ALL])
}

pub(super) fn proxy_for_wss(var: Var<'_>) -> Result<Option<ProxyServer>, InvalidProxy> {
    proxy(var, [&FOR_WSS[..], &FOR_ALL])
}

pub(super) fn no_proxy(var: Var<'_>) -> Result<NoProxy, InvalidProxy> {
    let list = first_set(var, EXCEPTIONS)?;
    Ok(list.map_or_else(NoProxy::default, |(_, list)| NoProxy::parse(&list)))
}

fn proxy<'a>(
    var: Var<'_>,
    names: impl IntoIterator<Item = &'a [&'static str]>,
) -> Result<Option<ProxyServer>, InvalidProxy> {
    let Some((name, url)) = first_set(var, names.into_iter().flatten().copied())? else {
        return Ok(None);
    };
    ProxyServer::parse(&url).map(Some).map_err(|error| error.in_variable(name))
}

/// Returns the first of these variables that is not empty.
fn first_set(
    var: Var<'_>,
    names: impl IntoIterator<Item = &'static str>,
) -> Result<Option<(&'static str, String)>, InvalidProxy> {
    for name in names {
        let Some(value) = var(name).filter(|value| !value.is_empty()) else { continue };
        let value = value.into_string();
        let not_utf8 = |_| InvalidProxy::new("not UTF-8").in_variable(name);
        return Ok(Some((name, value.map_err(not_utf8)?)));
    }
    Ok(None)
}
