// One request of the tus protocol. XMLHttpRequest, because fetch tells no upload progress.

import { ApiError, unreachable } from '../../api/client';

export interface Answer {
  status: number;
  text: string;
  header: (name: string) => string | null;
}
export type Request = (
  method: string,
  url: string,
  headers: Record<string, string>,
  body: Blob | null,
  sent: (bytes: number) => void,
) => { answer: Promise<Answer>; abort: () => void };

export const request: Request = (method, url, headers, body, sent) => {
  const xhr = new XMLHttpRequest();
  const answer = new Promise<Answer>((resolve, reject) => {
    xhr.open(method, url);
    xhr.setRequestHeader('tus-resumable', '1.0.0');
    xhr.setRequestHeader('accept', 'application/json');
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => sent(event.loaded);
    xhr.onload = () => resolve({ status: xhr.status, text: xhr.responseText, header: (name) => xhr.getResponseHeader(name) });
    xhr.onerror = () => reject(unreachable());
    xhr.onabort = () => reject(aborted());
    xhr.send(body);
  });
  return { answer, abort: () => xhr.abort() };
};

/** It was ended from here. */
export const aborted = () => new ApiError({ error: '', code: 'aborted', status: 0, requestId: null });
