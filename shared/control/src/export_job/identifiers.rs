//! How a job names users at Braze.

use proto::export::v1 as wire;

/// Membership fields that hold Braze's identifiers. Of several the first with a value is used, in the order of this struct.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Field that holds the external id.
    pub external_id_field: Option<String>,
    /// Field that holds Braze's own id.
    pub braze_id_field: Option<String>,
    /// A user alias.
    pub alias: Option<Alias>,
    /// Field that holds the e-mail address.
    pub email_field: Option<String>,
    /// Field that holds the phone number.
    pub phone_field: Option<String>,
}

/// A user alias: the label is fixed, the name comes from a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The alias label at Braze.
    pub label: String,
    /// Field that holds the alias name.
    pub field: String,
}

impl Identifiers {
    /// The fields, by the names of their settings, in the order in which they are asked.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let alias = self.alias.as_ref().map(|alias| &alias.field);
        let all = [
            ("external_id_field", self.external_id_field.as_ref()),
            ("braze_id_field", self.braze_id_field.as_ref()),
            ("user_alias_field", alias),
            ("email_field", self.email_field.as_ref()),
            ("phone_field", self.phone_field.as_ref()),
        ];
        all.into_iter()
            .filter_map(|(setting, field)| Some((setting, field?.as_str())))
    }

    pub(super) fn write(&self, job: &mut wire::ExportJob) {
        let (label, field) = self.alias.clone().map(|alias| (alias.label, alias.field)).unzip();
        job.external_id_field = self.external_id_field.clone().unwrap_or_default();
        job.braze_id_field = self.braze_id_field.clone().unwrap_or_default();
        job.user_alias_label = label.unwrap_or_default();
        job.user_alias_field = field.unwrap_or_default();
        job.email_field = self.email_field.clone().unwrap_or_default();
        job.phone_field = self.phone_field.clone().unwrap_or_default();
    }

    pub(super) fn read(job: &wire::ExportJob) -> Self {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            external_id_field: some(&job.external_id_field),
            braze_id_field: some(&job.braze_id_field),
            alias: some(&job.user_alias_label)
                .zip(some(&job.user_alias_field))
                .map(|(label, field)| Alias { label, field }),
            email_field: some(&job.email_field),
            phone_field: some(&job.phone_field),
        }
    }
}
