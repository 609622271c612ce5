use super::*;

/// Parses, and fails the test with every reason if there is one.
fn objects(text: &str) -> Vec<Parsed> {
    parse(text).unwrap_or_else(|errors| panic!("{}", texts(&errors).join("\n")))
}

fn texts(errors: &[Invalid]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn refusals(text: &str) -> Vec<String> {
    texts(&parse(text).expect_err("the text should have been refused"))
}

#[test]
fn documents_become_typed_objects_with_their_places() {
    let text = "\
# licence
---
apiVersion: v1
kind: Service
metadata: {name: nginx, namespace: test}
spec: {selector: {app: nginx}, ports: [{protocol: TCP, port: 80, targetPort: 80}], type: ClusterIP}
---

# a comment first
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx
spec:
  selector: {matchLabels: {app: nginx}}
  template: {}
";
    let parsed = objects(text);
    let seen: Vec<_> = parsed
        .iter()
        .map(|p| (p.object.kind(), p.object.name(), p.place.to_string()))
        .collect();
    assert_eq!(
        seen,
        [
            ("Service", "nginx", "document 1, line 3".into()),
            ("Deployment", "nginx", "document 2, line 10".into())
        ]
    );
    let Object::Service(service) = &parsed[0].object else {
        panic!("not a service: {parsed:?}")
    };
    let port = &service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0];
    assert_eq!((port.port, port.name.as_deref()), (80, None));
    assert_eq!(
        (parsed[0].object.namespace(), parsed[1].object.namespace()),
        (Some("test"), None)
    );
}

#[test]
fn every_kind_that_the_mesh_reads_is_typed() {
    let rows = [
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "Endpoints"),
        ("v1", "Namespace"),
        ("v1", "ServiceAccount"),
        ("v1", "ConfigMap"),
        ("v1", "Node"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
    ];
    for (api_version, kind) in rows {
        let parsed = objects(&format!(
            "{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: a}}}}"
        ));
        assert!(
            !matches!(parsed[0].object, Object::Other(_)),
            "{kind} has no type"
        );
        assert_eq!(
            (parsed[0].object.kind(), parsed[0].object.name()),
            (kind, "a")
        );
    }
}

#[test]
fn unknown_kinds_and_other_versions_are_kept() {
    let parsed = objects(
        "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a, namespace: b}, spec: {x: 1}}",
    );
    let Object::Other(other) = &parsed[0].object else {
        panic!("typed, although of another version")
    };
    assert_eq!(
        (other.api_version.as_str(), other.kind.as_str()),
        ("apps/v1beta1", "Deployment")
    );
    assert_eq!(
        (parsed[0].object.name(), parsed[0].object.namespace()),
        ("a", Some("b"))
    );
    assert_eq!(other.value["spec"]["x"], 1);
}

#[test]
fn the_metadata_of_unknown_kinds_is_checked_too() {
    let text = "apiVersion: a/v1\nkind: X\nmetadata:\n  name: a\n  namespace: n\n"; // YAML 1.1: n is false
    let refused =
        "document 1, line 5: metadata.namespace: invalid type: boolean `false`, expected a string";
    assert_eq!(refusals(text), [refused]);
}

#[test]
fn lists_become_their_items() {
    let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: PodList
  items:
  - metadata: {name: p}
";
    let parsed = objects(text);
    let seen: Vec<_> = parsed
        .iter()
        .map(|p| (p.object.kind(), p.place.to_string()))
        .collect();
    assert_eq!(
        seen,
        [
            ("Namespace", "document 1, items[0], line 4".into()),
            ("Pod", "document 1, items[1].items[0], line 10".into())
        ]
    );
}

#[test]
fn json_is_read_also_as_a_stream_of_values() {
    let text = "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"a\"}\n}\n\
                {\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}\n";
    let seen: Vec<_> = objects(text)
        .iter()
        .map(|p| (p.object.name().to_owned(), p.place.line))
        .collect();
    assert_eq!(seen, [("a".to_owned(), 1), ("b".to_owned(), 4)]);
}

#[test]
fn errors_name_document_line_field_and_reason() {
    let text = "\
apiVersion: v1
kind: Namespace
metadata: {name: good}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  ports:
  - name: http
    port: eighty
---
a: [1, 2
b: 3
---
kind: Pod
---
- 1
---
{apiVersion: v1, kind: Pod, spec: {}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {on: 80}}}
";
    let refused = refusals(text);
    assert_eq!(
        refused[0],
        "document 2, line 11: spec.ports[0].port: invalid type: string \"eighty\", expected i32"
    );
    assert!(
        refused[1].starts_with("document 3, line 14: "),
        "{refused:?}"
    );
    assert_eq!(
        refused[2],
        "document 4, line 16: apiVersion: required, but missing"
    );
    assert_eq!(
        refused[3],
        "document 5, line 18: expected an object with apiVersion and kind, found a list"
    );
    assert_eq!(
        refused[4],
        "document 6, line 20: metadata.name: required, but missing"
    );
    let errors = parse(text).unwrap_err();
    assert!(
        errors[5].hint().is_some_and(|hint| hint.contains("quotes")),
        "{}",
        errors[5]
    );
    assert_eq!(
        parse_each(text).filter(Result::is_ok).count(),
        1,
        "the good document should survive"
    );
}

#[test]
fn addresses_and_ports_that_cannot_be_are_refused() {
    let slice = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a}
addressType: IPv4
endpoints:
- addresses: [10.0.0.1]
- addresses: [10.0.0.300]
";
    let service = |spec: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n  {spec}\n")
    };
    for (text, refusal) in [
        (
            slice.to_owned(),
            "document 1, line 7: endpoints[1].addresses[0]: `10.0.0.300` is not an IP address",
        ),
        (
            service("clusterIP: 10.0.0"),
            "document 1, line 5: spec.clusterIP: `10.0.0` is not an IP address",
        ),
        (
            service("ports: [{port: 80}, {port: 70000}]"),
            "document 1, line 5: spec.ports[1].port: 70000 is not a port (1 to 65535)",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: x}\n".to_owned(),
            "document 1, line 4: status.podIP: `x` is not an IP address",
        ),
    ] {
        assert_eq!(refusals(&text), [refusal]);
    }
    for allowed in [
        "clusterIP: None",
        "clusterIP: ''",
        "clusterIPs: ['fd00::1']",
    ] {
        objects(&service(allowed));
    }
    objects(&slice.replace("IPv4", "FQDN"));
}

#[test]
fn an_error_within_a_list_names_the_item() {
    let text = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n\
                - apiVersion: v1\n  kind: Pod\n  metadata:\n    name: 7\n";
    assert_eq!(
        refusals(text),
        [
            "document 1, items[1], line 8: metadata.name: invalid type: integer `7`, expected a string"
        ]
    );
}

#[test]
fn deep_nesting_is_refused_in_every_notation() {
    let depth = 10_000;
    let block: String = (0..depth)
        .map(|n| format!("{}a:\n", " ".repeat(n)))
        .collect();
    let rows = [
        (
            "flow lists",
            format!("a: {}{}", "[".repeat(depth), "]".repeat(depth)),
        ),
        (
            "flow maps",
            format!("{}{}", "{a: ".repeat(depth), "}".repeat(depth)),
        ),
        (
            "json",
            format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
        ),
        ("unclosed", "[".repeat(depth)),
        ("dashes", format!("a: \n{}1", "- ".repeat(depth))),
        ("block", block),
    ];
    for (name, text) in rows {
        let refused = parse(&text).expect_err(name);
        assert!(
            matches!(refused[0].reason, Reason::Syntax(_)),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn nesting_that_is_allowed_fits_the_stack_of_a_thread() {
    let text = format!(
        "{{apiVersion: v1, kind: X, metadata: {{name: a}}, spec: {}{}}}",
        "[".repeat(98),
        "]".repeat(98)
    );
    let walk = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || objects(&text).len())
        .unwrap();
    assert_eq!(walk.join().unwrap(), 1);
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert!(matches!(
        parse(&text).unwrap_err()[0].reason,
        Reason::Syntax(_)
    ));
}

#[test]
fn scalars_are_read_as_kubectl_reads_them() {
    let text = "{apiVersion: v1, kind: X, metadata: {name: a}, mode: 0644, flag: yes, text: 'yes', version: 1.10}";
    let Object::Other(other) = &objects(text)[0].object else {
        panic!("X has no type")
    };
    assert_eq!(
        (&other.value["mode"], &other.value["flag"]),
        (&0o644.into(), &true.into())
    );
    assert_eq!(
        (&other.value["text"], &other.value["version"]),
        (&"yes".into(), &1.1.into())
    );
}

#[test]
fn unknown_fields_are_listed() {
    let text = "\
apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {}, finalizers: []}
spec:
  contianers: []
  hostNetwrok: true
  containers:
  - {name: a, image: b, resources: null, futureField: 1}
";
    assert_eq!(
        objects(text)[0].unknown,
        ["spec.hostNetwrok", "spec.containers[0].futureField"]
    );
}

#[test]
fn separators_are_found_only_where_yaml_has_them() {
    let text = "--- # first\na: 1\nb: |\n  ---\n  x\n---\r\nc: 2\r\n---not: a separator\n--- {d: 3}\n...\n---\n\n";
    let chunks = split(text);
    let seen: Vec<_> = chunks.iter().map(|c| (c.index, c.line, c.text)).collect();
    assert_eq!(
        seen,
        [
            (0, 1, "--- # first\na: 1\nb: |\n  ---\n  x\n"),
            (1, 7, "c: 2\r\n---not: a separator\n"),
            (2, 9, "--- {d: 3}\n...\n")
        ]
    );
    assert_eq!(chunks[2].documents().unwrap()[0].value["d"], 3);
    assert!(split("").is_empty() && split("\n---\n \n").is_empty());
    assert!(split("%YAML 1.2\n---\na: 1\n")[0].is_blank());
}

mod hostile {
    use proptest::prelude::*;

    use super::super::{parse_each, split};

    /// Text of pieces that mean something to YAML, JSON or the splitter.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "---",
            "\n",
            "\n---\n",
            "...\n",
            " ",
            "  ",
            "- ",
            "? ",
            ": ",
            "a",
            "&a ",
            "*a",
            "<<: ",
            "{",
            "}",
            "[",
            "]",
            ",",
            "\"",
            "'",
            "|\n",
            ">-\n",
            "#",
            "%YAML 1.2\n",
            "!!str ",
            "!x ",
            "\t",
            "\r\n",
            "\u{feff}",
            "\u{0}",
            "é",
            "apiVersion: v1\n",
            "kind: Pod\n",
            "kind: List\n",
            "items:\n",
            "metadata: {name: a}\n",
            "spec: ",
            "80",
            "{\"apiVersion\":\"v1\",\"kind\":\"PodList\",\"items\":[{}, 1]}",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_brings_the_parser_down(text in text()) {
            let lines = text.lines().count().max(1);
            for each in parse_each(&text) {
                let place = each.map_or_else(|invalid| invalid.place, |parsed| parsed.place);
                prop_assert!((1..=lines + 1).contains(&place.line), "line {} of {lines}", place.line);
            }
        }

        #[test]
        fn splitting_loses_nothing_but_separators_and_white_space(text in text()) {
            let kept: usize = split(&text).iter().map(|chunk| chunk.text.trim().len()).sum();
            let bare: usize = text.trim_start_matches('\u{feff}').split_inclusive('\n')
                .filter(|line| line.trim_end() != "---").map(|line| line.trim().len()).sum();
            prop_assert!(kept >= bare, "{kept} of {bare} bytes");
        }
    }
}
