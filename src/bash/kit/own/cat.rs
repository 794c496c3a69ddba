//! `cat`.

use async_trait::async_trait;
use tokio::io::AsyncReadExt;

use crate::bash::files::FilesError;
use crate::bash::program::{Dialect, Program, ProgramContext};

/// `cat`, which hands on what it reads as it comes.
pub(super) struct Cat;

#[derive(Default)]
pub(super) struct CatOptions {
    number: bool,
    number_nonblank: bool,
    squeeze: bool,
    ends: bool,
    tabs: bool,
    line: usize,
    blank_before: bool,
}

impl CatOptions {
    fn is_plain(&self) -> bool {
        !(self.number || self.number_nonblank || self.squeeze || self.ends || self.tabs)
    }

    fn shown(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let blank = line == b"\n";
            if self.squeeze && blank && std::mem::replace(&mut self.blank_before, true) {
                continue;
            }
            self.blank_before = blank;
            if (self.number && !self.number_nonblank) || (self.number_nonblank && !blank) {
                self.line += 1;
                out.extend(format!("{:>6}\t", self.line).into_bytes());
            }
            for byte in line {
                match byte {
                    b'\n' if self.ends => out.extend(b"$\n"),
                    b'\t' if self.tabs => out.extend(b"^I"),
                    byte => out.push(*byte),
                }
            }
        }
        out
    }
}

#[async_trait]
impl Program for Cat {
    async fn run(&self, context: ProgramContext) -> i32 {
        let (mut options, mut names, mut code) = (CatOptions::default(), vec![], 0);
        for word in &context.args[1..] {
            match word.as_str() {
                "--" => {}
                "-" => names.push("-"),
                word if word.starts_with('-') && word[1..].chars().all(|c| "nbsETAuevt".contains(c)) => {
                    options.number |= word.contains('n');
                    options.number_nonblank |= word.contains('b');
                    options.squeeze |= word.contains('s');
                    options.ends |= word.contains(['E', 'A', 'e']);
                    options.tabs |= word.contains(['T', 'A', 't']);
                }
                word => names.push(word),
            }
        }
        if names.is_empty() {
            names.push("-");
        }
        let paths: Vec<String> = names.iter().map(|name| context.path(name)).collect();
        let dialect = context.system.dialect;
        let mut stdio = context.stdio;
        for (name, path) in names.iter().zip(paths) {
            if *name == "-" {
                let mut buffer = vec![0; 16 * 1024];
                // A stream that breaks is one that ends.
                while let Ok(count @ 1..) = stdio.stdin.read(&mut buffer).await {
                    let chunk = if options.is_plain() {
                        buffer[..count].to_vec()
                    } else {
                        options.shown(&buffer[..count])
                    };
                    if !stdio.out(chunk).await {
                        return 141;
                    }
                }
                continue;
            }
            match context.files.read(&path).await {
                Ok(content) => {
                    let content = if options.is_plain() { content.to_vec() } else { options.shown(&content) };
                    if !stdio.out(content).await {
                        return 141;
                    }
                }
                Err(error) => {
                    let why = error.strerror();
                    stdio
                        .err(match dialect {
                            Dialect::Busybox if error == FilesError::IsDirectory => {
                                format!("cat: read error: {why}\n")
                            }
                            Dialect::Busybox => format!("cat: can't open '{name}': {why}\n"),
                            Dialect::Gnu | Dialect::Dash => format!("cat: {name}: {why}\n"),
                        })
                        .await;
                    code = 1;
                }
            }
        }
        code
    }
}
