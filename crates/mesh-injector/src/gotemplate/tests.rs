use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::*;

fn run(template: &str, data: &Json) -> Result<Output, Error> {
    let data = Value::from_json(data, Shape::Any).expect("data");
    Program::parse(template)?.run(&data, &mut Budget::default())
}

fn text(template: &str, data: &Json) -> String {
    match run(template, data) {
        Ok(output) => output.text,
        Err(error) => format!("error: {error}"),
    }
}

/// What Go's text/template with the functions of sprig 3 makes of a template; `None` where it fails.
#[derive(Deserialize)]
struct AsGo {
    data: Json,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    template: String,
    output: Option<String>,
}

#[test]
fn templates_give_what_go_gives() {
    let table: AsGo = serde_json::from_str(include_str!("tests/as-go.json")).expect("a table");
    assert!(table.rows.len() > 70);
    let mut differences = String::new();
    for Row { template, output } in &table.rows {
        let ours = run(template, &table.data);
        if ours.as_ref().ok().map(|ours| &ours.text) != output.as_ref() {
            differences += &format!("{template}\n  Go: {output:?}\n  we: {ours:?}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn errors_name_line_and_cause() {
    let rows = [
        ("a\nb {{ .x", "line 2: `{{` without `}}`"),
        ("a\n{{ if .x }}\n", "line 2: `if` without `end`"),
        (
            "\n\n{{ end }}",
            "line 3: `end` without a block that it belongs to",
        ),
        (
            "{{ if .x }}{{ else }}{{ else }}{{ end }}",
            "line 1: a second `else` of one `if`",
        ),
        (
            "\n{{ nothing .x }}",
            "line 2: function `nothing` is not defined",
        ),
        ("{{ $x }}", "line 1: variable `$x` is not defined here"),
        (
            "{{ if true }}{{ $x := 1 }}{{ end }}\n{{ $x }}",
            "line 2: variable `$x` is not defined here",
        ),
        (
            "{{ .a\n.b }}",
            "line 2: only functions take arguments; is a function's name or a `|` missing?",
        ),
        ("{{ .a | .b }}", "line 1: behind `|` must stand a function"),
        ("{{ quote (.a }}", "line 1: `(` without `)`"),
        ("{{ \"a }}", "line 1: a text without its second quote"),
        (
            "{{ 'ab' }}",
            "line 1: not one character between quotes; texts stand in \"double quotes\"",
        ),
        (
            "{{ /* c */ .x }}",
            "line 1: something stands behind a comment in the same action",
        ),
        (
            "{{ template \"x\" . }}",
            "line 1: template \"x\" is not defined",
        ),
        ("{{ if }}{{ end }}", "line 1: `if` without a value"),
        ("{{ . ; }}", "line 1: unexpected `;` in an action"),
        (
            "{{ contains \"a\" }}",
            "line 1: contains: wants 2 arguments, not 1",
        ),
        (
            "x\n{{ upper .missing }}",
            "line 2: upper: wants a string, not nothing",
        ),
        (
            "\n{{ div 1 0 }}",
            "line 2: div: a division by zero, or a result that is too large",
        ),
        (
            "{{ range 1 }}\n{{ index (list) . }}{{ end }}",
            "line 2: index: 0 is beyond the 0 items of the list",
        ),
        (
            "{{ define \"d\" }}\n\n{{ fail \"no\" }}{{ end }}{{ template \"d\" }}",
            "line 3: fail: no",
        ),
        (
            "{{ fromJSON \"{\" }}",
            "line 1: fromJSON: not JSON: EOF while parsing an object at line 1 column 1",
        ),
    ];
    for (template, expected) in rows {
        assert_eq!(
            text(template, &json!({"a": 1})),
            format!("error: {expected}"),
            "{template}"
        );
    }
}

#[test]
fn what_never_ends_or_grows_is_stopped() {
    let many =
        "{{ $x := \"0123456789\" }}{{ range until 60 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}";
    let nested = format!(
        "{}{}{}",
        "{{ if true }}".repeat(500),
        "x",
        "{{ end }}".repeat(500)
    );
    let rows = [
        (
            "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}",
            "does a template call itself?",
        ),
        ("{{ range until 1000000000 }}x{{ end }}", "bytes are made"),
        ("{{ range 9000000000 }}x{{ end }}", "steps"),
        (
            "{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}",
            "steps",
        ),
        ("{{ repeat 2000000000 \"x\" }}", "bytes are made"),
        (
            "{{ range 3000 }}{{ repeat 1000 \"x\" }}{{ end }}",
            "the text is longer than",
        ),
        (many, "bytes are made"),
        (
            "{{ $x := list 1 }}{{ range 1000 }}{{ $x = list $x }}{{ end }}",
            "nested deeper",
        ),
        (
            "{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}",
            "steps",
        ),
        (
            "{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ toYaml $x }}",
            "steps",
        ),
        (
            "{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ has $x (list $x) }}",
            "steps",
        ),
        ("{{ printf \"%2000000000d\" 1 }}", "a width beyond 1000"),
        ("{{ nindent 2000000000 \"a\\nb\" }}", "bytes are made"),
        ("{{ indent 2000000000 \"a\\nb\" }}", "bytes are made"),
        (
            "{{ replace \"a\" (repeat 100000 \"b\") (repeat 100000 \"a\") }}",
            "bytes are made",
        ),
        (
            "{{ range 1000 }}{{ regexMatch \"(a+)+$\" \"aaaaaaaaaaaaaaaaaaaaaaaaaaaa!\" }}{{ end }}",
            "steps",
        ),
        (
            "{{ $t := \"{{ render . }}\" }}{{ with $t }}{{ render \"{{ range 100000 }}{{ . }}{{ end }}\" }}{{ end }}",
            "render: line 1",
        ),
        (&nested, "blocks are nested deeper than"),
    ];
    for (template, expected) in rows {
        let text = text(template, &json!({}));
        let short = template.chars().take(80).collect::<String>();
        assert!(
            text.starts_with("error: ") && text.contains(expected),
            "{short}: {:.200}",
            text
        );
    }
}

#[test]
fn nothing_that_is_nested_overflows_the_stack() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    for count in [39, 41, 5000] {
        text(&format!("{{{{ {} }}}}", deep("(", ")", count)), &json!({}));
        text(&deep("{{ range 1 }}", "{{ end }}", count), &json!({}));
        let chain = format!(
            "{{{{ if 0 }}}}{}{{{{ end }}}}",
            "{{ else if 0 }}".repeat(count)
        );
        assert_eq!(text(&chain, &json!({})), "");
        text(
            &format!("{{{{ fromJSON `{}` }}}}", deep("[", "]", count)),
            &json!({}),
        );
        let calls: String = (0..count)
            .map(|n| format!("{{{{ define \"d{n}\" }}}}{{{{ with (list 1) }}}}{{{{ template \"d{}\" . }}}}{{{{ end }}}}{{{{ end }}}}", n + 1))
            .collect();
        text(
            &format!("{calls}{{{{ define \"d{count}\" }}}}{{{{ end }}}}{{{{ template \"d0\" }}}}"),
            &json!({}),
        );
    }
}

#[test]
fn a_missing_value_is_printed_as_go_does_and_noticed() {
    let output = run("a\n{{ .missing.field }}", &json!({})).expect("runs");
    assert_eq!(
        (output.text.as_str(), output.no_value),
        ("a\n<no value>", Some(2))
    );
}

#[test]
fn functions_of_istio_give_what_they_give_there() {
    let data = json!({
        "meta": {"annotations": {"a": "x", "n": "<b>"}},
        "containers": [
            {"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]},
            {"name": "istio-proxy", "ports": [{"containerPort": 15090, "protocol": "TCP"}]},
        ],
        "text": "a: 1\nb: 2\n",
    });
    let rows = [
        (
            "{{ annotation .meta `a` 1 }} {{ annotation .meta `b` 15020 }} {{ annotation .none.x `b` 1 }}",
            "error: line 1: annotation: wants a map, not nothing",
        ),
        (
            "{{ annotation .meta `a` 1 }} {{ annotation .meta `b` 15020 }}",
            "x 15020",
        ),
        (
            "{{ isset .meta.annotations `a` }} {{ isset .meta.labels `a` }}",
            "true false",
        ),
        (
            "{{ valueOrDefault .none `d` }} {{ valueOrDefault `` `d` }} {{ valueOrDefault 0 `d` }}",
            "d d 0",
        ),
        ("x: {{ .text | indent 2 }}", "x: a: 1\n  b: 2\n  "),
        (
            "{{ toJSON .meta.annotations }} {{ toJSON .none }}",
            r#"{"a":"x","n":"\u003cb\u003e"} {}"#,
        ),
        (
            "{{ structToJSON (index .containers 0) }}",
            r#"{"name":"app","ports":[{"containerPort":80},{"containerPort":53,"protocol":"UDP"}]}"#,
        ),
        (
            "{{ range $k, $v := fromJSON `{\"a\": [1]}` }}{{ $k }}{{ toYaml $v }}{{ end }}",
            "a- 1\n",
        ),
        (
            "{{ includeInboundPorts .containers }} {{ applicationPorts .containers }}",
            "80,15090 80",
        ),
        (
            "{{ excludeInboundPort 15020 `1, 2` }} {{ excludeInboundPort 2 `1,2` }} {{ excludeInboundPort `0` `1` }} {{ excludeInboundPort 7 `` }}",
            "1,2,15020 1,2 1 7",
        ),
        (
            "{{ directory `/etc/certs/root.pem` }} {{ toLower `ABC` }} {{ contains `/` `a/b` }} {{ env `HOME` `none` }}",
            "/etc/certs/ abc true none",
        ),
        (
            "{{ formatDuration `45s` }} {{ formatDuration `60s` }} {{ formatDuration `3600.5s` }} {{ formatDuration `0.02s` }}",
            "45s 1m0s 1h0m0.5s 20ms",
        ),
        (
            "{{ appendMultusNetwork `` `cni` }} {{ appendMultusNetwork `a` `cni` }} {{ appendMultusNetwork `a, cni` `cni` }} {{ appendMultusNetwork `[{\"name\": \"a\"}]` `cni` }}",
            r#"cni a, cni a, cni [{"name": "a"}, {"name": "cni"}]"#,
        ),
        (
            "{{ toJsonMap (strdict `a` `1`) (omit (strdict `b` `2` `c` `3`) `c`) }} {{ omitNil (dict `a` nil `b` 1) }}",
            r#"{"a":"1","b":"2"} map[b:1]"#,
        ),
        ("{{ render `<{{ .meta.annotations.a }}>` }}", "<x>"),
    ];
    for (template, expected) in rows {
        assert_eq!(text(template, &data), expected, "{template}");
    }
}

static PORT: Struct = Struct {
    name: "ContainerPort",
    fields: &[("containerPort", Type::Int), ("hostIP", Type::Text)],
};
static POD: Struct = Struct {
    name: "PodSpec",
    fields: &[
        ("serviceAccountName", Type::Text),
        ("hostNetwork", Type::Bool),
        ("dnsPolicy", Type::Text),
        ("ports", Type::List(Shape::Struct(&PORT))),
        ("labels", Type::Map(Shape::Texts)),
        ("securityContext", Type::Pointer(Shape::Object)),
        ("first", Type::Inline(&PORT)),
    ],
};

#[test]
fn objects_have_gos_names_and_gos_zeros() {
    let json = json!({
        "dnsPolicy": "None", "ports": [{"containerPort": 80}], "securityContext": {"fsGroup": 3, "seLinuxOptions": {"level": "s0"}},
    });
    let pod = Value::from_json(&json, Shape::Struct(&POD)).expect("a pod");
    let run = |template: &str| match Program::parse(template)
        .and_then(|program| program.run(&pod, &mut Budget::default()))
    {
        Ok(output) => output.text,
        Err(error) => format!("error: {error}"),
    };
    let rows = [
        (
            "[{{ .ServiceAccountName }}] {{ .HostNetwork }} {{ .DNSPolicy }} {{ .First.ContainerPort }}",
            "[] false None 0",
        ),
        (
            "{{ range .Ports }}{{ .ContainerPort }}[{{ .HostIP }}]{{ end }}",
            "80[]",
        ),
        (
            "[{{ index .Labels `app` }}] {{ eq .Labels.app `` }} {{ len .Labels }}",
            "[] true 0",
        ),
        (
            "{{ .SecurityContext.FSGroup }} {{ .SecurityContext.SELinuxOptions.Level }} {{ .SecurityContext.GetFSGroup }}",
            "3 s0 3",
        ),
        (
            "{{ if .SecurityContext.RunAsUser }}set{{ else }}unset{{ end }} {{ .DNSPolicy.String }}",
            "unset None",
        ),
        (
            "{{ .serviceAccountName }}",
            "error: line 1: PodSpec has no field .serviceAccountName; is .ServiceAccountName meant?",
        ),
        (
            "{{ .Nothing }}",
            "error: line 1: PodSpec has no field .Nothing",
        ),
        (
            "{{ range . }}{{ end }}",
            "error: line 1: cannot range over a struct",
        ),
        ("{{ toYaml .Ports }}", "- containerPort: 80\n"),
    ];
    for (template, expected) in rows {
        assert_eq!(run(template), expected, "{template}");
    }
}

mod random {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of templates, put together at random.
    fn piece() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "{{",
            "}}",
            "{{-",
            "-}}",
            "if ",
            "else ",
            "end",
            "range ",
            "with ",
            "define ",
            "template ",
            "block ",
            "break",
            "(",
            ")",
            "|",
            ":=",
            "=",
            ",",
            "$",
            "$x",
            ".",
            ".a",
            ".list",
            "\"t\"",
            "`r`",
            "'c'",
            "1",
            "-2",
            "0x",
            "1e9",
            " ",
            "\n",
            "/*",
            "*/",
            "printf ",
            "index ",
            "list ",
            "dict ",
            "set ",
            "until ",
            "toYaml ",
            "fromJSON ",
            "render ",
            "and ",
            "or ",
            "not ",
            "eq ",
            "quote",
            "nindent 2",
            "slice ",
            "substr ",
            "trunc ",
            "é",
            "nil",
            "true",
            "regexMatch ",
            "repeat ",
        ]);
        prop_oneof![9 => words.prop_map(str::to_owned), 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn no_template_panics(pieces in prop::collection::vec(piece(), 0..40)) {
            let data = json!({"a": "x", "list": [1, "two", null, {"k": "v"}]});
            let inner = pieces.concat();
            for template in [inner.clone(), format!("{{{{ {inner} }}}}")] {
                let _ = run(&template, &data);
            }
        }
    }
}
