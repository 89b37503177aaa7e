//! The named schemas of the document.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

use crate::body::{Body, Effect, FieldValue};
use crate::operation::ItemError;
use crate::{About, Limits};

/// The named schemas, with the limits and model properties that they depend on.
pub(crate) struct Schemas {
    named: BTreeMap<String, RefOr<Schema>>,
    limits: Limits,
    dimensions: usize,
    prompts: Vec<String>,
}

impl Schemas {
    /// Returns an empty collection for a service.
    pub(crate) fn new(limits: Limits, about: &About) -> Self {
        let (dimensions, prompts) = (about.dimensions, about.prompts.clone());
        Self { named: BTreeMap::new(), limits, dimensions, prompts }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn prompts(&self) -> &[String] {
        &self.prompts
    }

    /// Returns a reference to the schema `name`, which `make` creates on first use.
    pub(crate) fn add(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Self) -> RefOr<Schema>,
    ) -> RefOr<Schema> {
        if !self.named.contains_key(name) {
            let schema = make(self);
            self.named.insert(name.to_owned(), schema);
        }
        Ref::from_schema_name(name).into()
    }

    /// Returns a reference to the schema of a body.
    pub(crate) fn body<T: Body>(&mut self) -> RefOr<Schema> {
        self.add(T::NAME, |schemas| T::schema(schemas))
    }

    /// Returns a reference to the schema of a response type.
    pub(crate) fn reply<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.add_parts::<T>();
        self.named.insert(T::name().into_owned(), T::schema());
        Ref::from_schema_name(T::name()).into()
    }

    /// Returns the schema of a response type without a name, such as a list.
    pub(crate) fn inline<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.add_parts::<T>();
        T::schema()
    }

    fn add_parts<T: ToSchema>(&mut self) {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        self.named.extend(parts);
    }

    /// Returns a schema that also accepts null.
    pub(crate) fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
        any_of([Schema::Object(null.build()).into(), schema])
    }

    /// Returns the schema of a response that is a list, or with the option `on_error` an object of the
    /// list and the errors of its invalid items.
    pub(crate) fn list_or_errors(&mut self, list: RefOr<Schema>) -> RefOr<Schema> {
        let item = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let item = item.description(Some("As without the option; null for an invalid item."));
        let object = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .description(Some("The response with on_error \"null\"."))
            .property("results", ArrayBuilder::new().items(item))
            .property("errors", self.inline::<Vec<ItemError>>())
            .required("results")
            .required("errors");
        any_of([list, Schema::Object(object.build()).into()])
    }

    /// Returns the schemas by name. A value can match several schemas of an alternative: a whole number
    /// is a number and an integer.
    pub(super) fn into_named(self) -> BTreeMap<String, RefOr<Schema>> {
        let alternatives = |schema| match schema {
            RefOr::T(Schema::OneOf(one)) => any_of(one.items),
            other => other,
        };
        self.named.into_iter().map(|(name, schema)| (name, alternatives(schema))).collect()
    }
}

/// Returns a schema that accepts any of these schemas.
pub(crate) fn any_of(schemas: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let any = schemas.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    Schema::AnyOf(any.build()).into()
}

/// The schema of a body, built field by field.
pub(crate) struct ObjectSchema(ObjectBuilder);

impl ObjectSchema {
    /// Returns the schema of an object without fields.
    pub(crate) fn new(about: &str) -> Self {
        let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
        Self(object.description(Some(about.trim())))
    }

    /// Adds an example of the object.
    pub(crate) fn example(self, example: serde_json::Value) -> Self {
        if example.is_null() { self } else { Self(self.0.examples([example])) }
    }

    /// Adds a field.
    pub(crate) fn field<T: FieldValue>(
        self,
        schemas: &mut Schemas,
        name: &str,
        about: &str,
    ) -> Self {
        let schema = described(T::schema(schemas), about.trim());
        let object = self.0.property(name, with_effect(schema, T::EFFECT));
        Self(if T::REQUIRED { object.required(name) } else { object })
    }

    /// Returns the schema.
    pub(crate) fn build(self) -> RefOr<Schema> {
        Schema::Object(self.0.build()).into()
    }
}

/// Adds what an option does, if it is not carried out, as `x-effect`.
fn with_effect(schema: RefOr<Schema>, effect: Effect) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) if effect != Effect::Applied => {
            let extensions = ExtensionsBuilder::new().add("x-effect", effect.name()).build();
            object.extensions = Some(extensions);
            Schema::Object(object).into()
        }
        schema => schema,
    }
}

fn described(schema: RefOr<Schema>, about: &str) -> RefOr<Schema> {
    let mut schema = schema;
    if !about.is_empty() {
        match &mut schema {
            RefOr::Ref(reference) => reference.description = about.to_owned(),
            RefOr::T(Schema::Object(object)) => object.description = Some(about.to_owned()),
            RefOr::T(Schema::AnyOf(any)) => any.description = Some(about.to_owned()),
            RefOr::T(Schema::Array(array)) => array.description = Some(about.to_owned()),
            RefOr::T(_) => {}
        }
    }
    schema
}
