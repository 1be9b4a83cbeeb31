// One file to POST /media as its raw bytes. XMLHttpRequest, because fetch tells no upload progress.

import { ApiError, BASE, failure, unreachable } from '../../api/client';
import type { Media } from '../../api/types';

export interface Upload {
  done: Promise<Media>;
  abort: () => void;
}

export function upload(file: File, onProgress: (part: number) => void): Upload {
  const xhr = new XMLHttpRequest();
  const done = new Promise<Media>((resolve, reject) => {
    xhr.open('POST', `${BASE}/media?name=${encodeURIComponent(file.name)}`);
    if (file.type) xhr.setRequestHeader('content-type', file.type);
    xhr.setRequestHeader('accept', 'application/json');
    xhr.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) resolve(JSON.parse(xhr.responseText) as Media);
      else reject(failure(xhr.status, xhr.responseText));
    };
    xhr.onerror = () => reject(unreachable());
    xhr.onabort = () => reject(new ApiError({ error: '', code: 'aborted', status: 0, requestId: null }));
    xhr.send(file);
  });
  return { done, abort: () => xhr.abort() };
}
