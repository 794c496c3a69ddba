//! In the making.
use super::print_flags::ResourcePrinter;
use crate::kubectl::error::{KubectlError, Result};
#[derive(Default)]
pub struct ColumnsPrinter;
impl ColumnsPrinter {
    pub fn from_spec(_: &str, _: bool) -> Result<Self> {
        Ok(Self)
    }
    pub fn from_file(_: &str, _: bool) -> Result<Self> {
        Ok(Self)
    }
}
impl ResourcePrinter for ColumnsPrinter {
    fn print(&mut self, _: &serde_json::Value, _: &mut String) -> Result<()> {
        Err(KubectlError::message("this format is in the making"))
    }
}
