import { mount } from 'svelte';
import App from './app/App.svelte';
import './ui/base.css';

const target = document.getElementById('app');
if (!target) throw new Error('the shell has no #app');
target.replaceChildren();
mount(App, { target });
