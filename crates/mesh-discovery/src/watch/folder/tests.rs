//! The folder as users change it: by editors, by copies, by mistake.

use super::*;
use crate::watch::{Effect, Kind, ObjectRef, Stored};
use std::{fs, io::Write, time::Duration};
use tempfile::TempDir;

/// Longest that a change may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: x}}\nspec: {{ports: [{{port: {port}}}]}}\n---\n"
    )
}

async fn next(folder: &mut Folder) -> Vec<Delta> {
    let next = tokio::time::timeout(PATIENCE, folder.next()).await;
    next.expect("a change in time")
        .expect("the folder is watched")
}

/// What changed, as `+name` and `-name`.
async fn changes(folder: &mut Folder) -> Vec<String> {
    let names = next(folder).await.into_iter().map(|delta| match delta {
        Delta::Set(object) => format!("+{}", object.name().name),
        Delta::Gone(_, name) => format!("-{}", name.name),
    });
    names.collect()
}

/// Nothing arrives for a while.
async fn assert_quiet(folder: &mut Folder) {
    let next = tokio::time::timeout(Duration::from_millis(300), folder.next()).await;
    assert!(next.is_err(), "{next:?}");
}

/// The problems, once they are as `wanted`.
async fn problems(folder: &Folder, wanted: impl Fn(&[Problem]) -> bool) -> Vec<Problem> {
    let mut problems = folder.problems();
    let found = tokio::time::timeout(PATIENCE, problems.wait_for(|p| wanted(p))).await;
    found
        .expect("problems in time")
        .expect("the folder is watched")
        .to_vec()
}

fn none(problems: &[Problem]) -> bool {
    problems.is_empty()
}

fn some(problems: &[Problem]) -> bool {
    !problems.is_empty()
}

fn refused(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|p| p.effect == Effect::LastGoodStateKept)
}

fn folder_with(files: &[(&str, &str)]) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("within the folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    let folder = Folder::open(dir.path()).expect("a folder");
    (dir, folder)
}

#[tokio::test]
async fn first_comes_all_that_is_there() {
    let files = [
        ("b.yaml", &*(service("b1", 1) + &service("b2", 2))),
        ("deeper/a.yml", &service("a", 1)),
        (
            "c.json",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"c","namespace":"x"}}"#,
        ),
        (".hidden.yaml", &service("hidden", 1)),
        ("notes.txt", "apiVersion: v1"),
    ];
    let (_dir, mut folder) = folder_with(&files);
    assert_eq!(changes(&mut folder).await, ["+a", "+b1", "+b2", "+c"]);
    assert_quiet(&mut folder).await;
}

#[tokio::test]
async fn an_empty_folder_is_synced_at_once() {
    let (_dir, mut folder) = folder_with(&[]);
    assert_eq!(next(&mut folder).await, []);
}

#[tokio::test]
async fn only_what_differs_is_told() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &(service("a", 1) + &service("b", 1)))]);
    changes(&mut folder).await;
    fs::write(
        dir.path().join("a.yaml"),
        service("a", 1) + &service("b", 2),
    )
    .expect("written");
    assert_eq!(changes(&mut folder).await, ["+b"]);
    fs::write(dir.path().join("a.yaml"), service("b", 2)).expect("written");
    assert_eq!(changes(&mut folder).await, ["-a"]);
    // The same objects, written otherwise.
    fs::write(
        dir.path().join("a.yaml"),
        format!("# a comment\n{}", service("b", 2)),
    )
    .expect("written");
    assert_quiet(&mut folder).await;
    fs::remove_file(dir.path().join("a.yaml")).expect("removed");
    assert_eq!(changes(&mut folder).await, ["-b"]);
}

#[tokio::test]
async fn a_file_is_replaced_at_once_by_a_rename() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &service("a", 1))]);
    changes(&mut folder).await;
    fs::write(dir.path().join(".a.yaml.tmp"), service("b", 1)).expect("written");
    fs::rename(dir.path().join(".a.yaml.tmp"), dir.path().join("a.yaml")).expect("renamed");
    assert_eq!(changes(&mut folder).await, ["-a", "+b"]);
    fs::create_dir(dir.path().join("later")).expect("a folder");
    fs::rename(dir.path().join("a.yaml"), dir.path().join("later/z.yaml")).expect("renamed");
    // The object is the same, wherever it stands.
    assert_quiet(&mut folder).await;
    fs::write(dir.path().join("later/y.yaml"), service("late", 1)).expect("written");
    assert_eq!(changes(&mut folder).await, ["+late"]);
}

#[tokio::test]
async fn a_file_in_the_middle_of_being_written_is_left_alone() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &(service("a", 1) + &service("b", 1)))]);
    changes(&mut folder).await;
    let mut file = fs::File::create(dir.path().join("a.yaml")).expect("emptied");
    assert_quiet(&mut folder).await;
    file.write_all(service("a", 1).as_bytes()).expect("written");
    file.sync_all().expect("on disk");
    assert_quiet(&mut folder).await;
    file.write_all(service("b", 7).as_bytes()).expect("written");
    drop(file);
    assert_eq!(changes(&mut folder).await, ["+b"]);
}

#[tokio::test]
async fn an_emptied_file_loses_its_objects_in_the_end() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &service("a", 1))]);
    changes(&mut folder).await;
    fs::write(dir.path().join("a.yaml"), "").expect("emptied");
    assert_eq!(changes(&mut folder).await, ["-a"]);
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_state() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &service("a", 1))]);
    changes(&mut folder).await;
    fs::write(dir.path().join("a.yaml"), service("b", 1) + "kind: [\n").expect("written");
    let found = problems(&folder, some).await;
    assert_eq!(
        (&*found[0].place, found[0].effect),
        ("a.yaml", Effect::LastGoodStateKept)
    );
    assert!(found[0].line.is_some_and(|line| line >= 6), "{found:?}");
    assert_quiet(&mut folder).await;
    fs::write(dir.path().join("a.yaml"), service("b", 1)).expect("written");
    assert_eq!(changes(&mut folder).await, ["-a", "+b"]);
    problems(&folder, none).await;
}

#[tokio::test]
async fn what_is_good_in_a_file_that_was_never_good_counts() {
    let (_dir, mut folder) = folder_with(&[("a.yaml", &(service("a", 1) + "kind: [\n"))]);
    assert_eq!(changes(&mut folder).await, ["+a"]);
    problems(&folder, some).await;
}

#[tokio::test]
async fn an_object_belongs_to_the_first_file_that_defines_it() {
    let files = [("b.yaml", &*service("s", 2)), ("a.yaml", &service("s", 1))];
    let (dir, mut folder) = folder_with(&files);
    let [Delta::Set(Stored::Service(object))] = &next(&mut folder).await[..] else {
        panic!("one service");
    };
    assert_eq!(
        object
            .spec
            .as_ref()
            .and_then(|s| s.ports.as_ref())
            .map(|p| p[0].port),
        Some(1)
    );
    let found = problems(&folder, some).await;
    assert_eq!(
        (&*found[0].place, found[0].effect),
        ("b.yaml", Effect::ObjectIgnored)
    );
    assert!(
        found[0]
            .reason
            .contains("x/s is already defined at a.yaml:1"),
        "{found:?}"
    );
    fs::remove_file(dir.path().join("a.yaml")).expect("removed");
    assert_eq!(changes(&mut folder).await, ["+s"]);
    problems(&folder, none).await;
}

#[tokio::test]
async fn what_has_no_effect_is_reported() {
    let text = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: x}
spec: {prots: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: 'enableTracing: true'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
";
    let (dir, mut folder) = folder_with(&[("a.yaml", text)]);
    assert_eq!(changes(&mut folder).await, ["+s", "+istio"]);
    let found: Vec<_> = problems(&folder, some)
        .await
        .into_iter()
        .map(|p| (p.line, p.effect))
        .collect();
    let want = [
        (Some(2), Effect::ObjectIgnored),
        (Some(6), Effect::FieldIgnored),
        (Some(11), Effect::FieldIgnored),
    ];
    assert_eq!(found, want);
    fs::write(dir.path().join("a.yaml"), text.replace("true", "[")).expect("written");
    problems(&folder, refused).await;
    assert_quiet(&mut folder).await;
}

#[tokio::test]
async fn a_folder_that_goes_away_takes_nothing_with_it() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &service("a", 1))]);
    changes(&mut folder).await;
    let aside = dir.path().with_extension("aside");
    fs::rename(dir.path(), &aside).expect("renamed");
    problems(&folder, some).await;
    assert_quiet(&mut folder).await;
    fs::rename(&aside, dir.path()).expect("renamed");
    problems(&folder, none).await;
    assert_quiet(&mut folder).await;
}

#[test]
fn a_missing_folder_is_an_error() {
    let error = Folder::open(Path::new("/nowhere/at/all")).expect_err("there is no such folder");
    assert_eq!(
        error.to_string(),
        "/nowhere/at/all is no folder that can be read"
    );
}

#[tokio::test]
async fn kinds_and_names_are_told_of_what_is_gone() {
    let (dir, mut folder) = folder_with(&[("a.yaml", &service("a", 1))]);
    changes(&mut folder).await;
    fs::remove_file(dir.path().join("a.yaml")).expect("removed");
    let gone = Delta::Gone(Kind::Service, ObjectRef::new("x", "a"));
    assert_eq!(next(&mut folder).await, [gone]);
}
