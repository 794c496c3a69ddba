//! `k8s-learn images`: the course's images for real containers, made from this very program.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use super::command_line::{RuntimeArgs, live_runtime};
use crate::clock::Clock;
use crate::runtime::containerd::{Client, Course};

#[derive(Subcommand)]
pub(super) enum ImagesCommand {
    /// List the course's images
    List,
    /// Write images into one file, for `ctr images import` and others
    Build {
        /// The file
        #[arg(short, long, value_name = "FILE", default_value = "k8s-learn-images.tar")]
        output: PathBuf,
        /// The images, like nginx:1.25; by default one of each repository
        images: Vec<String>,
    },
    /// Put images into containerd, without a registry. A cluster does so by itself when a pod asks for one
    Load {
        /// The images, like nginx:1.25; by default one of each repository
        images: Vec<String>,
        #[command(flatten)]
        runtime: RuntimeArgs,
    },
}

/// Does what was asked.
pub(super) fn run(command: ImagesCommand) -> anyhow::Result<i32> {
    let or_all = |images: Vec<String>| if images.is_empty() { Course::names() } else { images };
    match command {
        ImagesCommand::List => {
            for name in Course::names() {
                writeln!(stdout(), "{name}")?;
            }
        }
        ImagesCommand::Build { output, images } => {
            let images = or_all(images);
            let file = std::fs::File::create(&output)
                .with_context(|| format!("cannot write {}", output.display()))?;
            let to = std::io::BufWriter::new(file);
            live_runtime()?.block_on(Course::write_archive(to, &images, &Clock::real()))?;
            writeln!(stdout(), "wrote {} images to {}", images.len(), output.display())?;
        }
        ImagesCommand::Load { images, runtime } => {
            let images = or_all(images);
            let count = images.len();
            live_runtime()?.block_on(async {
                let clock = Clock::real();
                let (client, _) = Client::connect(&runtime.containerd().socket, &clock).await?;
                let course = Course::new(client, clock);
                course.load_pause().await?;
                course.load(&images).await
            })?;
            writeln!(stdout(), "containerd has {count} images of the course, and the one of sandboxes")?;
        }
    }
    Ok(0)
}
