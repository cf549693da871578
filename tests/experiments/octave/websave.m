function file = websave (file, url, options)
  % MATLAB's websave, which GNU Octave does not have.
  fetched (url, file, options, "");
endfunction
