//! Kubernetes quantities, as far as saying whether a text is one.

/// True for `100m`, `1.5`, `128Mi`, `1e3`: what Kubernetes takes as an amount of a resource. Negative amounts make no
/// sense for a container and are refused.
pub(crate) fn is_quantity(text: &str) -> bool {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    is_number(number) && (is_unit(suffix) || is_exponent(suffix))
}

fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && text.len() - digits <= 1
}

fn is_unit(suffix: &str) -> bool {
    const UNITS: [&str; 16] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    UNITS.contains(&suffix)
}

fn is_exponent(suffix: &str) -> bool {
    suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::is_quantity;

    #[test]
    fn what_kubernetes_takes_is_taken() {
        for text in [
            "0", "100m", "2000m", "1.5", ".5", "5.", "128Mi", "1Gi", "1e3", "1E6", "1E-2", "12E",
            "+1",
        ] {
            assert!(is_quantity(text), "{text} was refused");
        }
        for text in [
            "", ".", "m", "-1", "1.2.3", "1 Gi", "1gi", "1KB", "0x1", "1e", "lots", "1Mi1",
        ] {
            assert!(!is_quantity(text), "{text} was accepted");
        }
    }
}
