use proptest::prelude::*;
use serde_json::{Value, json};

use super::{from_str, to_string};

#[test]
fn strings_are_quoted_as_go_quotes_them() {
    let rows = [
        ("istio-iptables", "istio-iptables"),
        ("15001", "\"15001\""),
        ("*", "'*'"),
        ("", "\"\""),
        ("15090,15021,15020", "15090,15021,15020"),
        (
            "$(POD_NAMESPACE).svc.cluster.local",
            "$(POD_NAMESPACE).svc.cluster.local",
        ),
        (
            "outbound|80||nginx.test.svc.cluster.local",
            "outbound|80||nginx.test.svc.cluster.local",
        ),
        ("@type", "'@type'"),
        ("{\"a\":1}", "'{\"a\":1}'"),
        ("it's", "it's"),
        ("'it's", "'''it''s'"),
        ("10.244.0.73", "10.244.0.73"),
        ("1.10", "\"1.10\""),
        ("0x1F", "\"0x1F\""),
        ("10:30", "\"10:30\""),
        ("2024-05-12", "\"2024-05-12\""),
        ("yes", "\"yes\""),
        ("Null", "\"Null\""),
        ("nULL", "\"nULL\""),
        ("~", "\"~\""),
        ("a: b", "'a: b'"),
        ("a:b", "a:b"),
        ("a #b", "'a #b'"),
        ("-", "'-'"),
        ("--x", "--x"),
        ("---", "'---'"),
        (" a", "' a'"),
        ("a\tb", "\"a\\tb\""),
        ("a\u{7}\u{2028}", "\"a\\x07\\u2028\""),
        ("ünï", "ünï"),
    ];
    for (text, expected) in rows {
        assert_eq!(to_string(&json!(text)), format!("{expected}\n"), "{text:?}");
    }
}

#[test]
fn collections_are_laid_out_as_go_lays_them_out() {
    let value = json!({
        "args": ["proxy", {"a": 1, "b": {"c": []}}, [[1, 2], {}], "x\ny\n"],
        "empty": {},
        "text": "a\n\nb",
        "kept": "a\n\n",
        "none": null,
    });
    let expected = "\
args:
- proxy
- a: 1
  b:
    c: []
- - - 1
    - 2
  - {}
- |
  x
  y
empty: {}
text: |-
  a

  b
kept: |+
  a

none: null
";
    assert_eq!(to_string(&value), expected);
}

#[test]
fn errors_name_the_line_and_carry_no_control_characters() {
    let error = from_str::<Value>("a: 1\n\"\u{1b}[31m\": 2\n\"\u{1b}[31m\": 3\n").unwrap_err();
    assert!(
        error.line > 1 && !error.message.contains('\u{1b}'),
        "{error:?}"
    );
    let error = from_str::<Value>("a: 1\nb: [").unwrap_err();
    assert_eq!(
        (error.line, error.message.as_str()),
        (2, "unclosed bracket '['")
    );
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~\n]{0,12}",
        "[-+0-9.:_eExob]{0,8}",
        "\\PC{0,6}",
        "[ynotfaulrYNOTFe~<]{0,5}",
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_reads_back(value in values()) {
        let text = to_string(&value);
        let read: Value = from_str(&text).map_err(|e| TestCaseError::fail(format!("{e} in\n{text}")))?;
        prop_assert_eq!(read, value, "{}", text);
    }
}
