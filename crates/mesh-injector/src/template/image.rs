//! The image of an injected container.

use super::Input;

/// Kinds of images that a tag may end with already.
const KINDS: [&str; 2] = ["-distroless", "-debug"];

/// The pod's own image, or that of the settings, `usual`, of the kind that is wanted.
pub(super) fn image(input: &Input<'_>, usual: &str) -> String {
    let annotations = input.annotations;
    match (&annotations.image, &annotations.image_type) {
        (Some(own), _) => own.clone(),
        (None, Some(kind)) => of_kind(usual, kind),
        (None, None) => usual.to_owned(),
    }
}

/// `hub/proxy:1.0-debug` for `hub/proxy:1.0`; an image without a tag is what it is.
fn of_kind(image: &str, kind: &str) -> String {
    let name_at = image.rfind('/').map_or(0, |slash| slash + 1);
    let is_tagged = !image.contains('@') && image[name_at..].contains(':');
    if !is_tagged {
        return image.to_owned();
    }
    let plain = KINDS.iter().find_map(|kind| image.strip_suffix(kind));
    let plain = plain.unwrap_or(image);
    match kind {
        "default" => plain.to_owned(),
        kind => format!("{plain}-{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::of_kind;

    #[test]
    fn kinds_are_suffixes_of_tags() {
        for (image, kind, expected) in [
            ("r:5000/m/p:1.0", "debug", "r:5000/m/p:1.0-debug"),
            ("p:1.0-distroless", "debug", "p:1.0-debug"),
            ("p:1.0-distroless", "default", "p:1.0"),
            ("p:1.0", "default", "p:1.0"),
            ("r:5000/p", "debug", "r:5000/p"),
            ("p:1@sha256:0", "debug", "p:1@sha256:0"),
        ] {
            assert_eq!(of_kind(image, kind), expected, "{image} {kind}");
        }
    }
}
