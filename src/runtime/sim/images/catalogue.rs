//! What registries have: the files of `fixtures/images`, read once a process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::reference::Reference;
use super::userland;
use crate::bash::{Dialect, MemoryFiles};
use crate::clock::Clock;

static IMAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/images");

/// One file of `fixtures/images`.
#[derive(Debug, Deserialize)]
struct Repository {
    /// The names of the repository, each with its registry.
    names: Vec<String>,
    /// Tags and the versions of the software behind them. With variants a tag may carry a variant's suffix.
    tags: BTreeMap<String, String>,
    /// What stands behind a tag, by the suffix of the tag.
    variants: BTreeMap<String, Variant>,
    /// Who may pull it; everybody if there is nobody.
    #[serde(default)]
    login: Option<Login>,
    #[serde(flatten)]
    content: Content,
}

/// A user and password that a registry wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    /// The name of a list of programs, see `userlands.yaml`.
    userland: String,
    /// The size in bytes that a registry says.
    size: u64,
}

/// What images of a repository have in common. `$VERSION` in it is the version behind the tag.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    user: Option<String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<String>,
    workdir: String,
    stop_signal: String,
    /// The memory that a container of it uses, in bytes.
    memory: u64,
    /// Programs beside those of the userland, by path.
    programs: Vec<String>,
    directories: Vec<String>,
    files: BTreeMap<String, String>,
    /// Paths of files that may be run.
    executable: Vec<String>,
    links: BTreeMap<String, String>,
}

/// An image, as a container sees it.
#[derive(Debug)]
pub(crate) struct ImageData {
    /// `sha256:...`, of the configuration.
    pub(crate) id: String,
    /// `sha256:...`, of the manifest.
    pub(crate) digest: String,
    pub(crate) size_bytes: u64,
    /// The version of the software in it.
    pub(crate) version: String,
    pub(crate) user: Option<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) workdir: String,
    pub(crate) stop_signal: String,
    pub(crate) memory_bytes: u64,
    pub(crate) dialect: Dialect,
    userland: String,
    content: Content,
}

/// What a registry answers.
#[derive(Debug)]
pub(crate) enum Found {
    /// The image, and who may have it.
    Image(Arc<ImageData>, Option<Login>),
    /// The repository has no such tag.
    NoSuchTag,
    /// There is no such repository.
    NoSuchRepository,
}

fn repositories() -> &'static [Repository] {
    static READ: OnceLock<Vec<Repository>> = OnceLock::new();
    READ.get_or_init(|| {
        let mut files: Vec<_> =
            IMAGES.files().filter(|file| !file.path().ends_with("userlands.yaml")).collect();
        files.sort_by_key(|file| file.path().to_owned());
        let read = |file: &include_dir::File<'_>| {
            let text = file.contents_utf8().expect("our images are text");
            match serde_saphyr::from_str(text) {
                Ok(repository) => repository,
                // The data is compiled in and tested: it cannot be wrong in a binary that passed its tests.
                Err(error) => unreachable!("{}: {error}", file.path().display()),
            }
        };
        files.into_iter().map(read).collect()
    })
}

/// The registries that have any images of ours.
pub(crate) fn registries() -> impl Iterator<Item = &'static str> {
    let names = repositories().iter().flat_map(|repository| &repository.names);
    names.filter_map(|name| name.split('/').next())
}

/// Asks the registries for an image.
pub(crate) fn find(reference: &Reference) -> Found {
    let name = reference.name();
    let Some(repository) = repositories().iter().find(|repository| repository.names.contains(&name)) else {
        return Found::NoSuchRepository;
    };
    let found = match &reference.digest {
        Some(digest) => repository.all().find(|image| image.digest == *digest),
        None => repository.tagged(reference.tag.as_deref().unwrap_or("latest")),
    };
    match found {
        Some(image) => Found::Image(Arc::new(image), repository.login.clone()),
        None => Found::NoSuchTag,
    }
}

/// The first name of every public repository, with `latest` or what comes last of its tags.
pub(crate) fn newest() -> Vec<String> {
    let public = repositories().iter().filter(|repository| repository.login.is_none());
    let name = |repository: &Repository| {
        let name = repository.names.first()?;
        let last = repository.tags.keys().next_back()?;
        let tag = if repository.tags.contains_key("latest") { "latest" } else { last };
        let suffix = if repository.tagged(tag).is_some() { "" } else { repository.variants.keys().next()? };
        Some(format!("{name}:{tag}{suffix}"))
    };
    public.filter_map(name).collect()
}

impl Repository {
    fn tagged(&self, tag: &str) -> Option<ImageData> {
        let mut variants: Vec<_> = self.variants.iter().collect();
        // The longest suffix first: `1.25-alpine` is not the tag `1.25-alpine` of the variant without a suffix.
        variants.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        let split = variants.into_iter().find_map(|(suffix, variant)| {
            let bare = tag.strip_suffix(suffix.as_str())?;
            Some((suffix, variant, self.version(bare)?))
        });
        // `alpine` alone is the newest of that variant.
        let split = split.or_else(|| {
            let (suffix, variant) =
                self.variants.iter().find(|(suffix, _)| suffix.strip_prefix('-') == Some(tag))?;
            Some((suffix, variant, self.tags.get("latest")?))
        });
        split.map(|(suffix, variant, version)| self.image(suffix, variant, version))
    }

    /// The version behind a tag; a whole version is a tag of its own.
    fn version(&self, tag: &str) -> Option<&String> {
        self.tags.get(tag).or_else(|| self.tags.values().find(|version| *version == tag))
    }

    fn all(&self) -> impl Iterator<Item = ImageData> {
        self.variants.iter().flat_map(move |(suffix, variant)| {
            self.tags.values().map(move |version| self.image(suffix, variant, version))
        })
    }

    fn image(&self, suffix: &str, variant: &Variant, version: &str) -> ImageData {
        let name = self.names.first().map_or("", String::as_str);
        let hash = |what: &str| {
            let digest = Sha256::digest(format!("{what} {name}:{version}{suffix}"));
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        };
        let text = |text: &String| text.replace("$VERSION", version);
        let content = &self.content;
        let pair = |line: &String| {
            line.split_once('=').map(|(key, value)| (key.to_owned(), value.replace("$VERSION", version)))
        };
        ImageData {
            id: hash("config"),
            digest: hash("manifest"),
            size_bytes: variant.size,
            version: version.to_owned(),
            user: content.user.clone(),
            entrypoint: content.entrypoint.iter().map(text).collect(),
            cmd: content.cmd.iter().map(text).collect(),
            env: content.env.iter().filter_map(pair).collect(),
            workdir: content.workdir.clone(),
            stop_signal: content.stop_signal.clone(),
            memory_bytes: content.memory,
            dialect: userland::dialect(&variant.userland),
            userland: variant.userland.clone(),
            content: content.clone(),
        }
    }
}

impl ImageData {
    /// The names of its programs.
    pub(crate) fn program_names(&self) -> impl Iterator<Item = &str> {
        let own = self.content.programs.iter().map(|path| path.rsplit('/').next().unwrap_or(path));
        userland::names(&self.userland).into_iter().chain(own)
    }

    /// The image's files, dated by `clock`.
    pub(crate) fn files(&self, clock: Clock) -> MemoryFiles {
        let files = MemoryFiles::new(clock);
        userland::put(&files, &self.userland);
        for path in &self.content.directories {
            files.put_directory(path, 0o755);
        }
        for path in &self.content.programs {
            userland::put_program(&files, path);
        }
        for (path, text) in &self.content.files {
            let mode = if self.content.executable.contains(path) { 0o755 } else { 0o644 };
            files.put(path, text.replace("$VERSION", &self.version).as_bytes(), mode);
        }
        for (path, target) in &self.content.links {
            files.put_link(path, target);
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::Files;

    #[tokio::test]
    async fn every_image_can_be_had_and_starts_something_that_is_in_it() {
        for repository in repositories() {
            for name in &repository.names {
                for tag in repository.tags.keys() {
                    let reference = Reference::parse(&format!("{name}:{tag}")).unwrap();
                    assert!(matches!(find(&reference), Found::Image(..)), "{reference}");
                }
            }
            for image in repository.all() {
                let files = image.files(Clock::virtual_time());
                let words = || image.entrypoint.iter().chain(&image.cmd);
                let first = words().next().unwrap_or_else(|| panic!("{:?} starts nothing", repository.names));
                let path = image
                    .env
                    .iter()
                    .find(|(key, _)| key == "PATH")
                    .map_or(crate::runtime::sim::DEFAULT_PATH, |(_, v)| v);
                let mut places = vec![];
                for directory in path.split(':') {
                    places.push(files.metadata(&crate::bash::resolve(directory, first)).await.is_ok());
                }
                assert!(places.contains(&true), "{:?}: no {first} in {path}", repository.names);
            }
        }
    }

    #[test]
    fn tags_have_versions_and_variants() {
        let find = |text: &str| match find(&Reference::parse(text).unwrap()) {
            Found::Image(image, _) => format!("{} {:?}", image.version, image.dialect),
            other => format!("{other:?}"),
        };
        assert_eq!(find("nginx:1.14.2"), "1.14.2 Dash");
        assert_eq!(find("nginx:alpine"), find("nginx:latest-alpine").replace("NoSuchTag", "1.29.3 Busybox"));
        assert_eq!(find("nginx:1.25-alpine"), "1.25.5 Busybox");
        assert_eq!(find("nginx:1.99"), "NoSuchTag");
        assert_eq!(find("ngnix"), "NoSuchRepository");
    }
}
