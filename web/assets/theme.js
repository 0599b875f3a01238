// Runs before anything is painted: the colours that were chosen last, or those of the system.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
