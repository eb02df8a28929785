//! The files that the pages of the examples `chat`, `login` and `rooms` share.

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{Reply, Request};

/// Answers a request for one of the files, at a route such as `/page/{file}`.
pub(crate) fn file(request: Request) -> Reply {
    let (content_type, text) = match request.param("file") {
        Some("style.css") => ("text/css; charset=utf-8", include_str!("page/style.css")),
        Some("script.js") => ("text/javascript; charset=utf-8", include_str!("page/script.js")),
        Some("socket.js") => ("text/javascript; charset=utf-8", include_str!("page/socket.js")),
        Some("logo.svg") => ("image/svg+xml", include_str!("page/logo.svg")),
        _ => return Reply::new(404),
    };
    Reply::new(200).body(content_type, text).expect("a valid content type")
}
