//! Objects of any kind behind one trait, on their way through the write pipeline.

use std::any::Any;
use std::fmt::Debug;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An object on its way through the write pipeline. Admission plugins look into it with [`dyn Object::get`].
pub trait Object: Any + Debug + Send + Sync {
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Its metadata, to change.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// The object as JSON (without Kubernetes' zero values; `encode` adds those).
    fn to_value(&self) -> Value;
    /// A copy.
    fn boxed_clone(&self) -> Box<dyn Object>;
}

impl dyn Object {
    /// The object as its own type, if it is one.
    pub fn get<T: Object>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }

    /// The object as its own type, to change, if it is one.
    pub fn get_mut<T: Object>(&mut self) -> Option<&mut T> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// The bounds that every `k8s-openapi` object with metadata fulfils.
pub trait ApiObject:
    k8s_openapi::Resource
    + Metadata<Ty = ObjectMeta>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<T> ApiObject for T where
    T: k8s_openapi::Resource
        + Metadata<Ty = ObjectMeta>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

impl<T: ApiObject> Object for T {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.metadata_mut()
    }
    fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("k8s-openapi types have string keys only")
    }
    fn boxed_clone(&self) -> Box<dyn Object> {
        Box::new(self.clone())
    }
}
