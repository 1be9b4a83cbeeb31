// The page that people would build: React and FullCalendar over the same data as the planner, with
// its month, week and list, posts that can be dragged, and a note that opens on a click.

import 'temporal-polyfill/global';
import FullCalendar from '@fullcalendar/react';
import dayGridPlugin from '@fullcalendar/react/daygrid';
import interactionPlugin from '@fullcalendar/react/interaction';
import listPlugin from '@fullcalendar/react/list';
import classicThemePlugin from '@fullcalendar/react/themes/classic';
import timeGridPlugin from '@fullcalendar/react/timegrid';
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import '@fullcalendar/react/skeleton.css';
import '@fullcalendar/react/themes/classic/palette.css';
import '@fullcalendar/react/themes/classic/theme.css';

const month = new URLSearchParams(location.search).get('month');
const phone = matchMedia('(max-width: 760px)').matches;
const plugins = [dayGridPlugin, timeGridPlugin, listPlugin, interactionPlugin, classicThemePlugin];
const toolbar = { left: 'prev,next', center: 'title', right: 'dayGridMonth,timeGridWeek,listMonth' };

async function posts() {
  const from = new Date(`${month}-01T00:00:00Z`);
  const to = new Date(from);
  to.setUTCMonth(to.getUTCMonth() + 1);
  const found = [];
  for (let cursor = ''; ; ) {
    const answer = await fetch(`/api/v1/calendar?from=${from.toISOString()}&to=${to.toISOString()}${cursor && `&cursor=${cursor}`}`);
    const page = await answer.json();
    found.push(...page.items);
    if (!page.next) return found;
    cursor = encodeURIComponent(page.next);
  }
}

const eventOf = (post) => ({ id: post.id, title: post.title ?? post.text, start: post.scheduledAt, extendedProps: post });

function Planner() {
  const [events, setEvents] = useState([]);
  const [open, setOpen] = useState(null);
  useEffect(() => {
    posts().then((found) => {
      setEvents(found.map(eventOf));
      document.body.dataset.posts = found.length;
    });
  }, []);
  return (
    <>
      <FullCalendar
        plugins={plugins}
        headerToolbar={toolbar}
        initialView={phone ? 'listMonth' : 'dayGridMonth'}
        initialDate={`${month}-01`}
        dayMaxEvents={true}
        editable={true}
        events={events}
        eventClick={({ event }) => setOpen(event.extendedProps)}
      />
      {open && (
        <dialog open>
          <p>{open.text}</p>
          <ul>
            {open.deliveries.map((d) => (
              <li key={d.id}>
                {d.network} {d.state}
              </li>
            ))}
          </ul>
          <button onClick={() => setOpen(null)}>Close</button>
        </dialog>
      )}
    </>
  );
}

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <Planner />
  </StrictMode>,
);
