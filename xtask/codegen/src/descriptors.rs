//! The descriptors that proto-JSON works with: chosen, then stripped of all that JSON does not look at.

mod strip;

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// What a control plane may push to a sidecar and what the admin interface prints, as path prefixes. Their imports
/// come along by themselves. A message that is missing prints as its `@type` only.
const WANTED: &[&str] = &[
    "envoy/admin/v3/",
    "envoy/config/",
    "envoy/extensions/",
    "envoy/service/discovery/",
    "envoy/service/runtime/",
    "envoy/service/status/",
    "envoy/type/",
    "google/protobuf/",
    "google/rpc/status.proto",
    "istio/",
    "udpa/",
    "xds/",
];

/// Parts of the paths of extensions that no sidecar runs: other protocols, other transports, code in plug-ins.
const UNWANTED: &[&str] = &[
    "/a2a/",
    "/ai_filters/",
    "/ai_protocol_manager/",
    "/dubbo_proxy/",
    "/dynamic_modules/",
    "/filters/udp/",
    "/generic_proxy/",
    "/mcp",
    "/quic/",
    "/reverse_connection/",
    "/reverse_tunnel/",
    "/thrift",
    "/zookeeper_proxy/",
];

/// Whether the file of this path is one to start from.
fn wanted(path: &str) -> bool {
    WANTED.iter().any(|w| path.starts_with(w)) && !UNWANTED.iter().any(|u| path.contains(u))
}

/// Encodes the wanted part of `envoy` together with what `own` adds.
pub(crate) fn encode(envoy: Vec<FileDescriptorProto>, own: &[FileDescriptorProto]) -> Vec<u8> {
    let known: HashSet<String> = envoy.iter().map(|f| f.name().to_owned()).collect();
    let mut files = envoy;
    files.extend(own.iter().filter(|f| !known.contains(f.name())).cloned());
    files.iter_mut().for_each(strip::file);
    FileDescriptorSet {
        file: with_imports(files),
    }
    .encode_to_vec()
}

/// Keeps the wanted files and, transitively, those that define a type they use; imports are rewritten to just these.
fn with_imports(mut files: Vec<FileDescriptorProto>) -> Vec<FileDescriptorProto> {
    let homes = homes(&files);
    let mut kept = BTreeSet::new();
    let mut queue: Vec<usize> = (0..files.len())
        .filter(|&i| wanted(files[i].name()))
        .collect();
    while let Some(i) = queue.pop() {
        if kept.insert(i) {
            let uses = uses(i, &files[i], &homes);
            files[i].dependency = uses.iter().map(|&u| files[u].name().to_owned()).collect();
            queue.extend(uses);
        }
    }
    let mut index = 0..;
    files.retain(|_| index.next().is_some_and(|i| kept.contains(&i)));
    files
}

/// Which file defines a type, by the type's full name with a leading dot.
fn homes(files: &[FileDescriptorProto]) -> HashMap<String, usize> {
    fn message(scope: &str, m: &DescriptorProto, file: usize, homes: &mut HashMap<String, usize>) {
        let name = format!("{scope}.{}", m.name());
        for e in &m.enum_type {
            homes.insert(format!("{name}.{}", e.name()), file);
        }
        for nested in &m.nested_type {
            message(&name, nested, file, homes);
        }
        homes.insert(name, file);
    }
    let mut homes = HashMap::new();
    for (i, f) in files.iter().enumerate() {
        let scope = format!(".{}", f.package());
        for m in &f.message_type {
            message(&scope, m, i, &mut homes);
        }
        for e in &f.enum_type {
            homes.insert(format!("{scope}.{}", e.name()), i);
        }
    }
    homes
}

/// The other files whose types `file`, the one at `index`, uses.
fn uses(
    index: usize,
    file: &FileDescriptorProto,
    homes: &HashMap<String, usize>,
) -> BTreeSet<usize> {
    fn message(m: &DescriptorProto, homes: &HashMap<String, usize>, uses: &mut BTreeSet<usize>) {
        uses.extend(m.field.iter().filter_map(|f| homes.get(f.type_name())));
        m.nested_type
            .iter()
            .for_each(|nested| message(nested, homes, uses));
    }
    let mut uses = BTreeSet::new();
    file.message_type
        .iter()
        .for_each(|m| message(m, homes, &mut uses));
    uses.remove(&index);
    uses
}
