// Package selector has the message selectors of JMS: the part of SQL-92's conditional expressions that
// chooses messages by their headers.
//
//	text ── Parse ──▶ *Selector ── Match(headers of a message) ──▶ selected or not
//
// The language is that of the Jakarta Messaging specification, section 3.8: literals ('it', 42,
// 0x2A, 2.5E3, TRUE), names, = <> < <= > >=, + - * /, BETWEEN, IN, LIKE … ESCAPE, IS [NOT] NULL, AND, OR, NOT
// and parentheses. Keywords are case-insensitive, names are not.
//
// Headers of STOMP and MQTT are strings, where JMS has types. So a string that meets a number is read as
// one, and a string that meets TRUE or FALSE as a truth value, as ActiveMQ does for STOMP. When it is none the
// result is unknown. Two headers are equal when their text is; they have an order when both are
// numbers.
//
// Logic has three values. What is missing, is of the wrong type or divides by zero is unknown; a message is
// selected only when the whole expression is true. Integers are exact to 64 bits and divide as in Java
// (7 / 2 is 3); a sum or product that overflows becomes a float. A header of 1e308 or beyond, or of more than
// 400 bytes, is no number.
//
// Names hold letters, digits, '_' and '$'; between letters also '.', ':' and '-', because headers are called
// "content-type". Where the message has no header a-b, a-b is the difference of a and b; beside another
// arithmetic operator that would be ambiguous and is refused. Between double quotes a name holds anything.
//
// The bounds: at most 64 KiB of text, 100 levels of nesting and 5,000 operations. A match costs at most one
// pass over the header for each operation, and 256 passes for all LIKE patterns that search for '_' after
// a '%', which is why Parse limits those. It does not allocate.
//
// What the package does not do: it knows no messages and no JMS header names; the Source does. It does not
// order strings, call functions or remember anything between messages.
package selector
