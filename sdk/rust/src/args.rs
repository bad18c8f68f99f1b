//! What can be sent as arguments, and how received ones are read.

use bytes::Bytes;
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;
use tidegate_core::limits::{ATTACHMENTS_MAX, JSON_DEPTH_MAX};
use tidegate_core::socket_io::{Args, ArgsError, ArgsRef, json};

/// Bytes as an argument: an attachment of the packet.
///
/// ```
/// use tidegate_backend::{Binary, ToArgs};
///
/// let (text, attachments) = ("thumbnail", Binary::from(vec![1, 2, 3]))
///     .with(|args| (args.json().to_owned(), args.attachments().len()))
///     .unwrap();
/// assert_eq!(text, r#""thumbnail",{"_placeholder":true,"num":0}"#);
/// assert_eq!(attachments, 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary(pub Bytes);

impl<T: Into<Bytes>> From<T> for Binary {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// One argument: everything that serde can write as JSON, and [`Binary`].
pub trait Arg {
    /// Appends the argument.
    ///
    /// # Errors
    /// It is not JSON, or there are too many attachments.
    fn push_to(&self, list: &mut List) -> Result<(), ArgsError>;
}

/// Arguments in the making.
#[derive(Debug, Default)]
pub struct List {
    json: Vec<u8>,
    attachments: Vec<Bytes>,
}

impl List {
    fn comma(&mut self) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
    }

    /// Lends what has been pushed.
    fn lend<R>(&self, use_it: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
        let json = str::from_utf8(&self.json).expect("serde_json writes UTF-8");
        if !self.attachments.is_empty() {
            // Data that looks like a placeholder would be one.
            return ArgsRef::checked(json, &self.attachments).map(use_it);
        }
        check_depth(json)?;
        Ok(use_it(ArgsRef::trusted(json, &[])))
    }
}

/// The gateway ends the link of a backend that sends JSON nested deeper than a client may. Everything else that
/// serde writes is JSON, and what is so deep is also long.
pub(crate) fn check_depth(json: &str) -> Result<(), ArgsError> {
    if json.len() > JSON_DEPTH_MAX { Ok(json::validate_list(json)?) } else { Ok(()) }
}

impl<T: Serialize + ?Sized> Arg for T {
    fn push_to(&self, list: &mut List) -> Result<(), ArgsError> {
        list.comma();
        serde_json::to_writer(&mut list.json, self).map_err(ArgsError::Serialize)
    }
}

impl Arg for Binary {
    fn push_to(&self, list: &mut List) -> Result<(), ArgsError> {
        let index = list.attachments.len();
        if index == ATTACHMENTS_MAX {
            return Err(ArgsError::TooManyAttachments);
        }
        list.comma();
        list.json.extend_from_slice(format!(r#"{{"_placeholder":true,"num":{index}}}"#).as_bytes());
        list.attachments.push(self.0.clone());
        Ok(())
    }
}

/// What an event or an acknowledgement carries: a tuple with one element for each argument.
///
/// `()` is no argument, `("hello", 7)` are two. A single argument needs a tuple of one, `(x,)`; text, numbers,
/// `bool`, [`Value`] and [`Binary`] can do without. [`Args`] and [`ArgsRef`] are sent as they are, without
/// looking inside. The gateway does look: it ends the link of a backend that sends what is not JSON. So text that
/// was put together from what clients sent should go through [`ArgsRef::checked`], which knows how deep JSON may
/// be nested.
pub trait ToArgs {
    /// Lends the arguments to `use_them`.
    ///
    /// # Errors
    /// They are not JSON, or there are too many attachments. `use_them` has not been called then.
    fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError>;
}

impl ToArgs for ArgsRef<'_> {
    fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
        Ok(use_them(self))
    }
}

impl ToArgs for &Args {
    fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
        Ok(use_them(self.as_ref()))
    }
}

impl ToArgs for Args {
    fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
        Ok(use_them(self.as_ref()))
    }
}

impl ToArgs for () {
    fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
        Ok(use_them(ArgsRef::default()))
    }
}

macro_rules! single {
    ($($kind:ty),*) => {
        $(impl ToArgs for $kind {
            fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
                (self,).with(use_them)
            }
        })*
    };
}

single!(&str, String, &String, bool, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64);
single!(Value, &Value, Binary);

macro_rules! tuple {
    ($($name:ident)+) => {
        impl<$($name: Arg),+> ToArgs for ($($name,)+) {
            fn with<R>(self, use_them: impl FnOnce(ArgsRef<'_>) -> R) -> Result<R, ArgsError> {
                #[expect(non_snake_case, reason = "one variable for each type of the tuple, by the same name")]
                let ($($name,)+) = self;
                let mut list = List::default();
                $($name.push_to(&mut list)?;)+
                list.lend(use_them)
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);

/// All arguments as a `T`: a tuple, or whatever serde makes of an array. A single value goes by
/// [`ArgsRef::parse`].
///
/// Arguments beyond those that a tuple has are ignored, as a JavaScript function does.
pub(crate) fn parse<T: DeserializeOwned>(args: ArgsRef<'_>) -> Result<T, serde_json::Error> {
    let whole = serde_json::from_str(&format!("[{}]", args.json()));
    // serde refuses arrays that are longer than a tuple; only then is it worth a second look.
    whole.or_else(|error| prefix(args).ok_or(error))
}

/// The longest proper prefix of the arguments that is a `T`.
fn prefix<T: DeserializeOwned>(args: ArgsRef<'_>) -> Option<T> {
    let mut elements: Vec<&str> = args.elements().collect();
    std::iter::from_fn(|| elements.pop().map(|_| format!("[{}]", elements.join(","))))
        .find_map(|list| serde_json::from_str(&list).ok())
}

/// The arguments after the first.
pub(crate) fn rest(args: ArgsRef<'_>) -> ArgsRef<'_> {
    let Some(second) = args.elements().nth(1) else { return ArgsRef::default() };
    // Both are slices of the same text.
    let start = (second.as_ptr() as usize).saturating_sub(args.json().as_ptr() as usize);
    ArgsRef::trusted(&args.json()[start..], args.attachments())
}

/// The attachment that argument `index` is, if it is one.
pub(crate) fn binary<'a>(args: ArgsRef<'a>, index: usize) -> Result<&'a Bytes, serde_json::Error> {
    let number = args.get(index).and_then(|text| {
        let digits = text.strip_prefix(r#"{"_placeholder":true,"num":"#)?.strip_suffix('}')?;
        digits.parse::<usize>().ok()
    });
    let attachment = number.and_then(|number| args.attachments().get(number));
    attachment.ok_or_else(|| serde_json::Error::custom(format!("argument {index} is not binary")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(args: impl ToArgs) -> String {
        args.with(|args| args.json().to_owned()).unwrap()
    }

    #[test]
    fn tuples_are_argument_lists_and_single_values_need_none() {
        assert_eq!(text(()), "");
        assert_eq!(text("hi \"you\""), r#""hi \"you\"""#);
        assert_eq!(text((1, "x", [true], None::<u8>)), r#"1,"x",[true],null"#);
        assert_eq!(text((vec![1, 2],)), "[1,2]");
        assert_eq!(text(serde_json::json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(text(ArgsRef::trusted("1 , 2", &[])), "1 , 2");
    }

    #[test]
    fn attachments_are_numbered_in_order_and_no_more_than_a_packet_may_have() {
        let json = text((Binary::from("a"), 1, Binary::from("b")));
        assert_eq!(json, r#"{"_placeholder":true,"num":0},1,{"_placeholder":true,"num":1}"#);
        let mut list = List::default();
        for _ in 0..ATTACHMENTS_MAX {
            Binary::default().push_to(&mut list).unwrap();
        }
        assert!(Binary::default().push_to(&mut list).is_err());
    }

    #[test]
    fn what_the_gateway_would_not_take_is_refused_here() {
        let looks = serde_json::json!({"_placeholder": true, "num": 7});
        assert!((&looks,).with(|_| ()).is_ok(), "without attachments it is data");
        assert!((&looks, Binary::from("x")).with(|_| ()).is_err());
        let raw = |depth| {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            serde_json::value::RawValue::from_string(text).unwrap()
        };
        let deep = raw(100);
        assert!((&deep,).with(|_| ()).is_ok());
        assert!(check_depth(&("[".repeat(JSON_DEPTH_MAX - 1) + &"]".repeat(JSON_DEPTH_MAX - 1))).is_ok());
        assert!(check_depth(&("[".repeat(JSON_DEPTH_MAX) + &"]".repeat(JSON_DEPTH_MAX))).is_err());
    }

    #[test]
    fn arguments_are_read_as_a_tuple_and_more_than_it_has_are_ignored() {
        let args = ArgsRef::trusted(r#""a",7,{"x":1}"#, &[]);
        assert_eq!(parse::<(String, u32, Value)>(args).unwrap().1, 7);
        assert_eq!(parse::<(String, u32)>(args).unwrap(), ("a".to_owned(), 7));
        assert_eq!(parse::<(String,)>(args).unwrap().0, "a");
        assert!(parse::<(u32,)>(args).is_err());
        assert!(parse::<(String, u32, Value, u8)>(args).is_err());
    }

    #[test]
    fn the_arguments_after_the_first_are_a_piece_of_the_text() {
        for (json, behind) in [("", ""), ("1", ""), ("1,2", "2"), (r#""a,b" , [1,2] ,3"#, "[1,2] ,3")] {
            assert_eq!(rest(ArgsRef::trusted(json, &[])).json(), behind, "{json}");
        }
    }

    #[test]
    fn a_binary_argument_is_found_by_its_position() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let json = r#"[{"_placeholder":true,"num":0}],7,{"_placeholder":true,"num":1}"#;
        let args = ArgsRef::trusted(json, &attachments);
        assert_eq!(binary(args, 2).unwrap(), "b");
        for index in [0, 1, 3] {
            assert!(binary(args, index).is_err(), "{index}");
        }
        assert!(binary(ArgsRef::trusted(r#"{"_placeholder":true,"num":5}"#, &[]), 0).is_err());
    }
}
