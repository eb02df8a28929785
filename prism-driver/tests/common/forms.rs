//! All forms in which a message can be sent, for the tests of this crate and for the suite. The types that the macros
//! name have to be in scope where they are used.

/// Calls `$send` with a text of this length in every form.
macro_rules! every_text {
    ($len:expr, |$message:ident| $send:expr) => {{
        let text = "x".repeat($len);
        let owned = OwnedMessage::Text(text.clone());
        let prepared = PreparedMessage::new(&text);
        every!(|$message| $send;
            text.as_str(), &text, text.clone(), Cow::Borrowed(text.as_str()),
            &Cow::Borrowed(text.as_str()), Cow::<str>::Owned(text.clone()), Message::Text(&text),
            &Message::Text(&text), &owned, owned.clone(), &prepared, prepared.clone(),
            &text.as_str(), &&text, std::sync::Arc::<str>::from(text.as_str()),
            &std::sync::Arc::new(text.clone()), text.clone().into_boxed_str(),
            &text.clone().into_boxed_str());
    }};
}

/// Calls `$send` with bytes of this length in every form.
macro_rules! every_binary {
    ($len:expr, |$message:ident| $send:expr) => {{
        let vec = vec![7; $len];
        let (bytes, buffer) = (Bytes::from(vec.clone()), BytesMut::from(&vec[..]));
        let owned = OwnedMessage::Binary(vec.clone());
        let prepared = PreparedMessage::new(&vec);
        every!(|$message| $send;
            &vec[..], &vec, vec.clone(), Cow::Borrowed(&vec[..]), Cow::<[u8]>::Owned(vec.clone()),
            &Cow::Borrowed(&vec[..]), &bytes, bytes.clone(), bytes.slice(..), &buffer, buffer.clone(),
            Message::Binary(&vec), &Message::Binary(&vec), &owned, owned.clone(), &prepared,
            prepared.clone(), &&vec[..], std::sync::Arc::<[u8]>::from(&vec[..]),
            &std::sync::Arc::new(bytes.clone()), vec.clone().into_boxed_slice(),
            Box::new(prepared.clone()));
    }};
}

macro_rules! every {
    (|$message:ident| $send:expr; $($form:expr),*) => {$({
        let $message = $form;
        $send;
    })*};
}
