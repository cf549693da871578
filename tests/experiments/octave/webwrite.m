function answer = webwrite (url, body, options)
  % MATLAB's webwrite as far as rig.m needs it: GNU Octave's own sends forms only.
  sent = tempname ();
  file = fopen (sent, "w");
  fwrite (file, body);
  fclose (file);
  got = tempname ();
  more = sprintf ('-H "Content-Type: %s" --data-binary "@%s"', options.MediaType, sent);
  fetched (url, got, options, more);
  answer = jsondecode (fileread (got));
  delete (sent);
  delete (got);
endfunction
