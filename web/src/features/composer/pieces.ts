// A text cut where a network would make links of it: addresses, hashtags, mentions. For the preview
// only; what the server sends is made from its own reading.

export interface Piece {
  text: string;
  link: boolean;
}

const LINKED = /(https?:\/\/[^\s]+|(?<![\p{L}\p{N}_/])[#@][\p{L}\p{N}_](?:[\p{L}\p{N}_.@-]*[\p{L}\p{N}_])?)/gu;

export function piecesOf(text: string): Piece[] {
  return text
    .split(LINKED)
    .map((piece, i) => ({ text: piece, link: i % 2 === 1 }))
    .filter((piece) => piece.text);
}
