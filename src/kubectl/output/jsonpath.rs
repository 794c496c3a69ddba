//! In the making.
use super::print_flags::ResourcePrinter;
use crate::kubectl::error::{KubectlError, Result};
#[derive(Default)]
pub struct JsonPathPrinter;
impl JsonPathPrinter {
    pub fn new(_: &str, _: bool, _: bool) -> Result<Self> {
        Ok(Self)
    }
}
impl ResourcePrinter for JsonPathPrinter {
    fn print(&mut self, _: &serde_json::Value, _: &mut String) -> Result<()> {
        Err(KubectlError::message("this format is in the making"))
    }
}
