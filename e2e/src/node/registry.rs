//! A read-only registry of images on loopback: what a container runtime needs of the OCI distribution specification 1.1
//! to pull, and no more.
//!
//! It stands in for every registry: a runtime that uses it as a mirror says in the parameter `ns` which one it means.

use crate::image::{self, Layout, Reference};
use anyhow::{Context, Result};
use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, fs, net::SocketAddr, sync::Arc, thread};

/// The registry that is meant where none is named.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Serves `layout` on a port of loopback for as long as this process lives; returns its address.
pub(crate) fn serve(layout: Layout) -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    thread::Builder::new()
        .name("registry".into())
        .spawn(move || runtime.block_on(accept(listener, Arc::new(layout))))
        .context("the registry's thread")?;
    Ok(address)
}

async fn accept(listener: tokio::net::TcpListener, layout: Arc<Layout>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let layout = Arc::clone(&layout);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&layout, &request);
                async { Ok::<_, Infallible>(answer) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle is its own affair.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

fn answer(layout: &Layout, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let found = find(layout, request.uri().path(), query);
    let head = request.method() == Method::HEAD;
    if !head && request.method() != Method::GET {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
    }
    match found {
        Found::Service => Response::new(Full::default()),
        Found::Blob {
            media_type,
            digest,
            bytes,
        } => {
            let length = bytes.len();
            let body = if head { Bytes::new() } else { bytes };
            Response::builder()
                .header(CONTENT_TYPE, media_type)
                .header(CONTENT_LENGTH, length)
                .header("docker-content-digest", digest)
                .body(Full::new(body))
                .unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"))
        }
        Found::Nothing(code) => refusal(StatusCode::NOT_FOUND, code),
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq)]
enum Found {
    /// The registry itself.
    Service,
    /// A manifest or a blob.
    Blob {
        media_type: &'static str,
        digest: String,
        bytes: Bytes,
    },
    /// Nothing, by the specification's code of the error.
    Nothing(&'static str),
}

fn find(layout: &Layout, path: &str, query: &str) -> Found {
    let Some(path) = path.strip_prefix("/v2/") else {
        return Found::Nothing("NAME_INVALID");
    };
    if path.is_empty() {
        return Found::Service;
    }
    if let Some((_, digest)) = path.rsplit_once("/blobs/") {
        return read(layout, digest, "application/octet-stream", "BLOB_UNKNOWN");
    }
    let Some((repository, name)) = path.rsplit_once("/manifests/") else {
        return Found::Nothing("NAME_INVALID");
    };
    let digest = if name.starts_with("sha256:") {
        name.to_owned()
    } else {
        let reference = Reference {
            registry: registry(query).to_owned(),
            repository: repository.to_owned(),
            tag: name.to_owned(),
        };
        match layout.manifest(&reference) {
            Some(manifest) => manifest.digest.clone(),
            None => return Found::Nothing("MANIFEST_UNKNOWN"),
        }
    };
    read(layout, &digest, image::MANIFEST, "MANIFEST_UNKNOWN")
}

fn registry(query: &str) -> &str {
    query
        .split('&')
        .find_map(|part| part.strip_prefix("ns="))
        .unwrap_or(DEFAULT_REGISTRY)
}

fn read(layout: &Layout, digest: &str, media_type: &'static str, unknown: &'static str) -> Found {
    let bytes = layout.blob(digest).and_then(|path| fs::read(path).ok());
    bytes.map_or(Found::Nothing(unknown), |bytes| Found::Blob {
        media_type,
        digest: digest.to_owned(),
        bytes: bytes.into(),
    })
}

fn refusal(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({"errors": [{"code": code, "message": code}]});
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Run, Tree};

    fn layout(folder: &std::path::Path) -> (Layout, String) {
        let mut layout = Layout::new(folder).expect("empty");
        let image = Image {
            name: "nginx".parse().expect("a name"),
            tree: Tree::new(),
            run: Run::default(),
        };
        let digest = layout.add(&image).expect("packed");
        (layout, digest)
    }

    #[test]
    fn an_image_is_found_by_its_tag_and_all_else_by_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let (layout, digest) = layout(folder.path());
        let by_tag = find(
            &layout,
            "/v2/library/nginx/manifests/latest",
            "ns=docker.io",
        );
        let by_digest = find(
            &layout,
            &format!("/v2/library/nginx/manifests/{digest}"),
            "",
        );
        assert_eq!(by_tag, by_digest);
        let Found::Blob { bytes, .. } = by_tag else {
            panic!("{by_tag:?}")
        };
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
        let blob = find(&layout, &format!("/v2/library/nginx/blobs/{layer}"), "");
        assert!(matches!(blob, Found::Blob { .. }));
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let (layout, _) = layout(folder.path());
        for (path, query, code) in [
            ("/v2/library/nginx/manifests/1.0", "", "MANIFEST_UNKNOWN"),
            (
                "/v2/library/nginx/manifests/latest",
                "ns=quay.io",
                "MANIFEST_UNKNOWN",
            ),
            ("/v2/library/nginx/blobs/sha256:../../x", "", "BLOB_UNKNOWN"),
            ("/v2/library/nginx", "", "NAME_INVALID"),
            ("/etc/passwd", "", "NAME_INVALID"),
        ] {
            assert_eq!(find(&layout, path, query), Found::Nothing(code), "{path}");
        }
        assert_eq!(find(&layout, "/v2/", ""), Found::Service);
    }
}
