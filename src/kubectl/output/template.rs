//! In the making.
use super::print_flags::ResourcePrinter;
use crate::kubectl::error::{KubectlError, Result};
#[derive(Default)]
pub struct TemplatePrinter;
impl TemplatePrinter {
    pub fn new(_: &str, _: bool) -> Result<Self> {
        Ok(Self)
    }
}
impl ResourcePrinter for TemplatePrinter {
    fn print(&mut self, _: &serde_json::Value, _: &mut String) -> Result<()> {
        Err(KubectlError::message("this format is in the making"))
    }
}
