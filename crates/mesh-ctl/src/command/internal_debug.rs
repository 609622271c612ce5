//! `meshctl experimental internal-debug`: a debug page of the control plane as it is.

use super::Open;
use crate::args::InternalDebug;
use crate::failure::Failure;
use crate::fetch::{Discovery, Mesh};

/// Below which all pages are.
const PAGES: &str = "/debug";

pub(super) fn run(args: &InternalDebug, mesh: Open<'_>) -> Result<String, Failure> {
    let mesh = mesh()?;
    let page = page(args, &mesh)?;
    let is_wanted = |plane: &Discovery| {
        let wanted = args.revision.as_deref();
        let of = plane.pod.as_ref().and_then(|pod| pod.revision.as_deref());
        wanted.is_none_or(|wanted| of == Some(wanted))
    };
    if args.all {
        let answers = mesh.ask_discoveries(is_wanted, |plane| plane.get(&page))?;
        let texts = answers
            .iter()
            .map(|(plane, answer)| format!("{}:\n{}\n", plane.name(), answer.trim_end()));
        let text = texts.collect::<Vec<_>>().join("\n");
        return found(args, text);
    }
    let mut last = None;
    for plane in mesh.discoveries()?.into_iter().filter(is_wanted) {
        match plane.get(&page) {
            Ok(answer) => return Ok(ended(answer)),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(Failure::from(error).more(
            "`meshctl x internal-debug list` names the pages; a proxy's are answered by the control plane that it is connected to, see `meshctl proxy-status`",
        )),
        None => found(args, String::new()),
    }
}

/// With the end of a line.
fn ended(answer: String) -> String {
    match answer.ends_with('\n') {
        true => answer,
        false => answer + "\n",
    }
}

fn found(args: &InternalDebug, text: String) -> Result<String, Failure> {
    match text.is_empty() {
        true => Err(Failure::from(anyhow::Error::msg(format!(
            "no control plane of revision {} is ready",
            args.revision.as_deref().unwrap_or("default")
        )))),
        false => Ok(text),
    }
}

/// Path and query.
fn page(args: &InternalDebug, mesh: &Mesh) -> Result<String, Failure> {
    let path = path(&args.page)?;
    let Some(pod) = &args.pod else {
        return Ok(path);
    };
    let proxy = mesh.proxy(pod)?.name;
    let joint = if path.contains('?') { '&' } else { '?' };
    Ok(format!("{path}{joint}proxyID={proxy}"))
}

fn path(typed: &str) -> Result<String, Failure> {
    let page = typed.trim_start_matches('/');
    let page = page.strip_prefix("debug/").unwrap_or(page);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~?=&%:,+|*".contains(c);
    match !page.is_empty() && page.chars().all(is_plain) {
        true => Ok(format!("{PAGES}/{page}")),
        false => Err(Failure::usage(format!("`{typed}` is no page"))
            .hint("`meshctl x internal-debug list` names them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_below_debug() {
        for (typed, want) in [
            ("syncz", "/debug/syncz"),
            ("/debug/syncz", "/debug/syncz"),
            (
                "debug/config_dump?proxyID=a.b",
                "/debug/config_dump?proxyID=a.b",
            ),
        ] {
            assert_eq!(path(typed).expect("a page"), want);
        }
        for typed in ["", "/", "a b", "a\r\nb", "ä"] {
            let failure = path(typed).expect_err(typed);
            assert_eq!(failure.code, crate::failure::USAGE);
        }
    }
}
