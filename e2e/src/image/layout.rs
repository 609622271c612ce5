//! An OCI image layout: blobs by digest, and an index that names the images among them.
//!
//! Follows the OCI image specification 1.1 (image-layout, manifest, config). Layers are not compressed: they are read
//! back on the machine that wrote them.

use super::{Image, Reference, Run, Tree};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout in a folder.
pub(crate) struct Layout {
    folder: PathBuf,
    images: BTreeMap<Reference, Blob>,
}

/// A blob that has been written.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// `sha256:` and hexadecimal digits.
    pub(crate) digest: String,
    size: u64,
}

impl Blob {
    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.size})
    }
}

impl Layout {
    /// An empty one; what was in the folder before is removed.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(folder);
        let shown = || folder.display().to_string();
        fs::create_dir_all(folder.join("blobs/sha256")).with_context(shown)?;
        fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            images: BTreeMap::new(),
        })
    }

    /// Packs `image`; returns its digest.
    pub(crate) fn add(&mut self, image: &Image) -> Result<String> {
        let shown = || image.name.to_string();
        let layer = self.layer(&image.tree).with_context(shown)?;
        let config = self.json(&config(&image.run, &layer.digest))?;
        let manifest = self.json(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": [layer.descriptor(LAYER)],
        }))?;
        let digest = manifest.digest.clone();
        self.images.insert(image.name.clone(), manifest);
        self.write_index()?;
        Ok(digest)
    }

    /// The manifest of the image that is pulled as `name`.
    pub(crate) fn manifest(&self, name: &Reference) -> Option<&Blob> {
        self.images.get(name)
    }

    /// Where the blob with this digest would be; `None` if it is no digest.
    pub(crate) fn blob(&self, digest: &str) -> Option<PathBuf> {
        let hex = digest.strip_prefix("sha256:")?;
        let sound = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound.then(|| self.folder.join("blobs/sha256").join(hex))
    }

    /// Writes the whole layout as one archive.
    pub(crate) fn archive(&self, to: &Path) -> Result<()> {
        let mut archive = tar::Builder::new(BufWriter::new(fs::File::create(to)?));
        archive.mode(tar::HeaderMode::Deterministic);
        for name in ["oci-layout", "index.json"] {
            archive.append_path_with_name(self.folder.join(name), name)?;
        }
        archive.append_dir_all("blobs", self.folder.join("blobs"))?;
        archive.into_inner()?.flush()?;
        Ok(())
    }

    fn layer(&self, tree: &Tree) -> Result<Blob> {
        self.put(|file| tree.write(file))
    }

    fn json(&self, value: &Value) -> Result<Blob> {
        let text = serde_json::to_vec(value)?;
        self.put(|file| Ok(file.write_all(&text)?))
    }

    /// Writes a blob under the digest of its bytes.
    fn put(&self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Blob> {
        let blobs = self.folder.join("blobs/sha256");
        let fresh = blobs.join("fresh");
        let mut hashed = Hashed {
            file: BufWriter::with_capacity(1 << 20, fs::File::create(&fresh)?),
            hash: Sha256::new(),
            size: 0,
        };
        write(&mut hashed)?;
        hashed.flush()?;
        let hex: String = hashed
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::rename(&fresh, blobs.join(&hex))?;
        Ok(Blob {
            digest: format!("sha256:{hex}"),
            size: hashed.size,
        })
    }

    fn write_index(&self) -> Result<()> {
        let manifests: Vec<Value> = self
            .images
            .iter()
            .map(|(name, manifest)| {
                let mut descriptor = manifest.descriptor(MANIFEST);
                descriptor["platform"] = platform();
                // The first is containerd's and Docker's name for the whole, the second the specification's for the tag.
                descriptor["annotations"] = json!({
                    "io.containerd.image.name": name.to_string(),
                    "org.opencontainers.image.ref.name": name.tag,
                });
                descriptor
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.folder.join("index.json"), serde_json::to_vec(&index)?)?;
        Ok(())
    }
}

/// Go's names, which OCI uses.
fn platform() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({"architecture": architecture, "os": "linux"})
}

fn config(run: &Run, layer: &str) -> Value {
    let mut config = json!({
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
    });
    let ports: serde_json::Map<_, _> = run
        .ports
        .iter()
        .map(|port| (port.clone(), json!({})))
        .collect();
    for (key, value) in [
        ("Entrypoint", json!(run.entry_point)),
        ("Cmd", json!(run.arguments)),
        ("User", json!(run.user)),
        ("StopSignal", json!(run.stop_signal)),
        ("ExposedPorts", json!(ports)),
    ] {
        let empty = [json!([]), json!(""), json!({})];
        if !empty.contains(&value) {
            config[key] = value;
        }
    }
    let mut whole = platform();
    whole["config"] = config;
    whole["rootfs"] = json!({"type": "layers", "diff_ids": [layer]});
    whole["history"] = json!([{"created_by": "mesh"}]);
    whole
}

/// Counts and hashes what passes.
struct Hashed<W> {
    file: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let mut tree = Tree::new();
        tree.text("/etc/motd", "hello");
        Image {
            name: "motd".parse().expect("a name"),
            tree,
            run: Run {
                entry_point: vec!["/bin/motd".into()],
                stop_signal: "SIGQUIT".into(),
                ..Run::default()
            },
        }
    }

    fn read(layout: &Layout, digest: &str) -> Value {
        let path = layout.blob(digest).expect("a digest");
        serde_json::from_slice(&fs::read(path).expect("a blob")).expect("JSON")
    }

    #[test]
    fn every_blob_is_what_its_digest_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut layout = Layout::new(folder.path()).expect("empty");
        let digest = layout.add(&image()).expect("packed");
        for blob in fs::read_dir(folder.path().join("blobs/sha256")).expect("blobs") {
            let path = blob.expect("a blob").path();
            let hash = Sha256::digest(fs::read(&path).expect("bytes"));
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(path.file_name().expect("a name").to_string_lossy(), hex);
        }
        let manifest = read(&layout, &digest);
        let layer = &manifest["layers"][0];
        let config = read(
            &layout,
            manifest["config"]["digest"].as_str().expect("text"),
        );
        assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
        assert_eq!(config["config"]["StopSignal"], "SIGQUIT");
        assert!(
            config["config"].get("User").is_none(),
            "what is empty is left out"
        );
        let path = layout
            .blob(layer["digest"].as_str().expect("text"))
            .expect("a digest");
        assert_eq!(fs::metadata(path).expect("a layer").len(), layer["size"]);
    }

    #[test]
    fn an_archive_names_its_image() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut layout = Layout::new(&folder.path().join("layout")).expect("empty");
        let digest = layout.add(&image()).expect("packed");
        let archive = folder.path().join("motd.tar");
        layout.archive(&archive).expect("written");
        let mut archive = tar::Archive::new(fs::File::open(archive).expect("an archive"));
        let index = archive.entries().expect("entries").flatten().find(|entry| {
            entry
                .path()
                .is_ok_and(|path| path == Path::new("index.json"))
        });
        let index: Value = serde_json::from_reader(index.expect("an index")).expect("JSON");
        let image = &index["manifests"][0];
        assert_eq!(image["digest"], digest);
        assert_eq!(
            image["annotations"]["io.containerd.image.name"],
            "docker.io/library/motd:latest"
        );
    }

    #[test]
    fn only_digests_are_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path()).expect("empty");
        assert!(layout.blob("sha256:../../../etc/passwd").is_none());
        assert!(layout.blob("latest").is_none());
        assert!(layout.blob(&format!("sha256:{}", "0".repeat(64))).is_some());
    }
}
